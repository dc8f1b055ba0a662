#!/usr/bin/python3
"""Sends an SMS with pika: send_with_pika.py order-7 +15550100001 "Your parcel has arrived" """
import json
import os
import sys

import pika

sms_id, to, text = sys.argv[1:4]
exchange = os.environ.get("QUEUE_NAME", "sms")
url = os.environ.get("RABBITMQ_URL", "amqp://guest:guest@localhost:5672")

connection = pika.BlockingConnection(pika.URLParameters(url))
channel = connection.channel()
# From now on basic_publish waits for the confirm: UnroutableError where the message was returned, NackError where
# RabbitMQ did not take it. No error: the SMS is accepted.
channel.confirm_delivery()
channel.basic_publish(
    exchange,
    "work",
    json.dumps({"to": to, "text": text}).encode(),
    pika.BasicProperties(
        message_id=sms_id,
        content_type="application/json",
        delivery_mode=2,
        headers={"run": "orders"},
    ),
    mandatory=True,
)
connection.close()
print(f"{sms_id} is accepted")
