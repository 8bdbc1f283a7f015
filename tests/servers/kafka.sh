#!/usr/bin/env bash
# kafka.sh start DIR | stop DIR | restart DIR: a real Kafka 4.4 broker for tests, one KRaft node on 127.0.0.1.
#
# start wipes DIR, waits until the broker answers, and prints one line: HOST:PORT for bootstrap.servers.
# restart keeps DIR's data and port, and starts a broker that was stopped as well.
# Its pid is in DIR/pid, what it said in DIR/broker.log. Classic and KIP-848 groups both work.
# Settings beyond the defaults: KAFKA_TEST_HEAP (384m), and KAFKA_TEST_CONFIG, a file of broker
# properties that is added at the end and so wins; KAFKA_TEST_PROTOCOL (PLAINTEXT), of the listener CLIENT.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

write_config() { # DIR PORT
	cat >"$1/server.properties" <<-END
		process.roles=broker,controller
		node.id=1
		controller.quorum.voters=1@127.0.0.1:$(($2 + 1))
		listeners=CLIENT://127.0.0.1:$2,CONTROLLER://127.0.0.1:$(($2 + 1))
		advertised.listeners=CLIENT://127.0.0.1:$2
		controller.listener.names=CONTROLLER
		inter.broker.listener.name=CLIENT
		listener.security.protocol.map=CLIENT:${KAFKA_TEST_PROTOCOL:-PLAINTEXT},CONTROLLER:PLAINTEXT
		log.dirs=$1/data
		num.partitions=1
		num.network.threads=2
		num.io.threads=2
		background.threads=2
		log.cleaner.enable=false
		auto.create.topics.enable=false
		offsets.topic.num.partitions=1
		offsets.topic.replication.factor=1
		transaction.state.log.num.partitions=1
		transaction.state.log.replication.factor=1
		transaction.state.log.min.isr=1
		share.coordinator.state.topic.num.partitions=1
		share.coordinator.state.topic.replication.factor=1
		share.coordinator.state.topic.min.isr=1
		group.initial.rebalance.delay.ms=0
		message.max.bytes=16777216
		replica.fetch.max.bytes=16777216
		socket.request.max.bytes=134217728
	END
	if [ -n "${KAFKA_TEST_CONFIG:-}" ]; then cat "$KAFKA_TEST_CONFIG" >>"$1/server.properties"; fi
	cat >"$1/log4j2.yaml" <<-'END'
		Configuration:
		  status: error
		  Appenders:
		    Console: {name: C, PatternLayout: {pattern: "%d %p %c: %m%n"}}
		  Loggers:
		    Root: {level: WARN, AppenderRef: {ref: C}}
		    Logger: [{name: kafka.server.KafkaRaftServer, level: INFO}]
	END
}

java_kafka() { # DIR CLASS ARGUMENT...
	exec java -Xms64m "-Xmx${KAFKA_TEST_HEAP:-384m}" -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto -Djava.awt.headless=true \
		"-Dlog4j2.configurationFile=$1/log4j2.yaml" -cp "$DEPS/kafka/*" "${@:2}"
}

try_start() { # DIR PORT: 0 ready, 1 the port was taken in between, anything else is final
	local dir=$1 port=$2 pid end
	write_config "$dir" "$port"
	[ -e "$dir/data/meta.properties" ] ||
		(java_kafka "$dir" kafka.tools.StorageTool format -t MkU3OEVBNTcwNTJENDM2Qk -c "$dir/server.properties") \
			>"$dir/format.log" 2>&1 </dev/null || {
		tail -n 20 "$dir/format.log" >&2
		die "could not format $dir/data"
	}
	(java_kafka "$dir" kafka.Kafka "$dir/server.properties") >"$dir/broker.log" 2>&1 </dev/null &
	pid=$!
	disown "$pid"
	remember "$pid" "$dir"
	end=$((SECONDS + 90))
	while [ "$SECONDS" -lt "$end" ]; do
		ours "$pid" "$dir" || break
		if grep -q 'Kafka Server started' "$dir/broker.log" && listening "$port"; then return 0; fi
		sleep 0.1
	done
	stop_server "$dir" KILL 10
	if grep -qE 'BindException|Address already in use' "$dir/broker.log"; then return 1; fi
	tail -n 20 "$dir/broker.log" >&2
	die "the broker did not start within 90 s; see $dir/broker.log"
}

start() {
	local dir=$1 port
	[ -d "$DEPS/kafka" ] || die "no broker in .deps/: run scripts/setup.sh test"
	mkdir -p "$dir" && dir=$(cd "$dir" && pwd)
	stop_server "$dir" TERM 30
	while :; do
		rm -rf "${dir:?}/data"
		port=$(free_port 1)
		if try_start "$dir" "$port"; then break; fi
	done
	echo "127.0.0.1:$port"
}

restart() {
	local dir port
	dir=$(cd "$1" && pwd)
	stop_server "$dir" TERM 30
	port=$(sed -n 's/^advertised.listeners=.*://p' "$dir/server.properties" | head -n 1)
	# 1: somebody took the port meanwhile, and clients know no other
	try_start "$dir" "$port" || die "port $port is taken"
	echo "127.0.0.1:$port"
}

[ $# = 2 ] || usage
case $1 in
start) start "$2" ;;
restart) restart "$2" ;;
stop) stop_server "$2" TERM 30 ;;
*) usage ;;
esac
