#!/usr/bin/python3
"""Sends an SMS with kombu: send_with_kombu.py order-7 +15550100001 "Your parcel has arrived" """
import os
import sys

from kombu import Connection

sms_id, to, text = sys.argv[1:4]
exchange = os.environ.get("QUEUE_NAME", "sms")
url = os.environ.get("RABBITMQ_URL", "amqp://guest:guest@localhost:5672")


def refuse(error, *_):
    raise error


# With confirm_publish, publish waits for the confirm. Where no queue takes the message, on_return is called before.
with Connection(url, transport_options={"confirm_publish": True}) as connection:
    producer = connection.Producer(on_return=refuse)
    producer.publish(
        {"to": to, "text": text},
        exchange=exchange,
        routing_key="work",
        serializer="json",
        message_id=sms_id,
        delivery_mode=2,
        headers={"run": "orders"},
        mandatory=True,
    )
print(f"{sms_id} is accepted")
