/* embedded.c - the in-process broker: librdkafka's mock cluster of one broker. */
#include <rdkafka.h>
#include <rdkafka_mock.h>
#include <stdlib.h>

#include "base/owned.h"
#include "wire/kafka_conf.h"

struct embedded_broker {
	struct kafka_client client;
	rd_kafka_t *rk; /* the mock cluster's threads and memory belong to a client, which itself connects nowhere */
	rd_kafka_mock_cluster_t *cluster;
};

struct embedded_broker *embedded_broker_start(struct error *err)
{
	struct embedded_broker *broker = calloc(1, sizeof *broker);
	const struct kafka_rules rules = {0};
	rd_kafka_conf_t *conf;

	if (!broker) {
		error_no_memory(err);
		return NULL;
	}
	broker->client = (struct kafka_client){.name = "embedded broker", .owner = broker};
	conf = kafka_conf_new(&broker->client, &rules, NULL, 0, err);
	broker->rk = conf ? kafka_new(RD_KAFKA_PRODUCER, conf, err) : NULL;
	if (!broker->rk)
		goto failed;
	broker->cluster = rd_kafka_mock_cluster_new(broker->rk, 1);
	if (!broker->cluster) {
		error_set(err, ERROR_FATAL, 0, "the embedded broker cannot listen on 127.0.0.1");
		goto failed;
	}
	rd_kafka_mock_set_controller_id(broker->cluster, 1); /* without one nobody can ask what a topic is */
	/* Kafka's own defaults (3 s, 3 s) are for fleets that start together; here one member should start at once and
	 * a second one be heard soon. */
	rd_kafka_mock_group_initial_rebalance_delay_ms(broker->cluster, 0);
	rd_kafka_mock_set_group_consumer_heartbeat_interval_ms(broker->cluster, 500);
	return broker;
failed:
	embedded_broker_stop(broker);
	return NULL;
}

const char *embedded_broker_address(const struct embedded_broker *broker)
{
	return rd_kafka_mock_cluster_bootstraps(broker->cluster);
}

int embedded_broker_create_topic(struct embedded_broker *broker, const char *topic, int partitions, struct error *err)
{
	rd_kafka_resp_err_t code;

	if (!*topic || partitions < 1)
		return error_set(err, ERROR_INVALID, 0, "a topic needs a name and at least one partition");
	code = rd_kafka_mock_topic_create(broker->cluster, topic, partitions, 1);
	if (code)
		return error_set(err, ERROR_INVALID, (int)code, "the embedded broker cannot make topic %s: %s", topic,
		                 rd_kafka_err2str(code));
	return 0;
}

void embedded_broker_stop(struct embedded_broker *broker)
{
	if (!broker)
		return;
	if (broker->cluster)
		rd_kafka_mock_cluster_destroy(broker->cluster);
	if (broker->rk)
		rd_kafka_destroy(broker->rk);
	free(broker);
}
