"""readings.py BROKERS TOPIC COUNT [PARTITIONS]: COUNT readings of devices, JSON of 200 bytes a message, for `tarn bench`.

50,000 devices of 48 sites report in turn, each round in another order, a few milliseconds apart: temperature, humidity,
battery and state go from where they were. The topic is made (4 partitions); what it is made of is the same each time.

    .deps/venv/bin/python bench/readings.py 127.0.0.1:9092 readings 6000000
    build/tarn bench --brokers 127.0.0.1:9092 --topic readings --like bench/readings.yaml --stages poll,read,whole
"""

import datetime
import random
import sys

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

DEVICES = 50_000
START_MS = 1_767_225_600_000  # 2026-01-01
EVERY_MS = 7
BATCH = 2000  # messages of a partition in a row, as a producer that lingers sends them
STATES = ["ok"] * 17 + ["charging"] * 2 + ["degraded"]
TOWNS = ["lusaka", "kitwe", "ndola", "kabwe"]


class Device:
    __slots__ = ("head", "site", "temperature", "humidity", "battery")

    def __init__(self, number, rng):
        self.head = f'{{"device_id":"DEV-{number:05d}-{1 + number % 3}","event_type":"reading","event_time":"'
        self.site = f'"site":"{TOWNS[number % 4]}-{1 + number // 4 % 12:02d}"'
        self.temperature = rng.uniform(18, 30)
        self.humidity = rng.uniform(35, 65)
        self.battery = rng.randrange(20, 101)


def readings(count, rng):
    """Batches of messages."""
    devices = [Device(number, rng) for number in range(DEVICES)]
    rand, made, sequence = rng.random, 0, 1000
    while made < count:
        rng.shuffle(devices)
        for first in range(0, DEVICES, BATCH):
            batch = []
            for device in devices[first : first + BATCH]:
                at, ms = divmod(START_MS + made * EVERY_MS + int(rand() * EVERY_MS), 1000)
                if ms < 2 * EVERY_MS or not batch:
                    second = datetime.datetime.fromtimestamp(at, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
                chance = rand()
                device.temperature += chance - 0.5
                device.humidity += 0.5 - chance
                device.battery -= chance < 0.1
                if device.battery < 5:
                    device.battery = 100
                batch.append({"value": '%s%s.%03dZ","sequence":%d,%s,"temperature_c":%.1f,"humidity_pct":%.1f,"battery_pct":%d,'
                                       '"status":"%s"}' % (device.head, second, ms, sequence, device.site, device.temperature,
                                                           device.humidity, device.battery, STATES[int(chance * 20)])})
                made += 1
                if made == count:
                    break
            yield batch
            if made == count:
                return
        sequence += 1


def main():
    brokers, topic, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    partitions = int(sys.argv[4]) if len(sys.argv) > 4 else 4
    admin = AdminClient({"bootstrap.servers": brokers})
    admin.create_topics([NewTopic(topic, partitions, 1)])[topic].result()
    producer = Producer({"bootstrap.servers": brokers, "compression.type": "lz4", "linger.ms": 50, "batch.size": 1_000_000,
                         "queue.buffering.max.messages": 400_000})
    size = 0
    for number, batch in enumerate(readings(count, random.Random(1))):
        size += sum(len(message["value"]) for message in batch)
        while len(producer) > 300_000:
            producer.poll(0.1)
        producer.produce_batch(topic, batch, partition=number % partitions)
        for message in batch:
            if "_error" in message:
                sys.exit(f"a message was refused: {message['_error']}")
    if producer.flush(120):
        sys.exit("not all messages were acknowledged")
    print(f"{count} readings, {size / count:.1f} bytes each: {batch[-1]['value']}")


if __name__ == "__main__":
    main()
