#!/bin/sh
# Sends each line of stdin as an SMS, with amqp-publish of Debian's amqp-tools:
#   send_with_amqp_publish.sh < sms.ndjson
# A line is {"id":"order-7","to":"+15550100001","text":"Your parcel has arrived"}: amqp-publish cannot set a message id.
# It waits for no confirm and does not hear of what is returned, so use it to try things out.
set -eu
exec amqp-publish --url="${RABBITMQ_URL:-amqp://guest:guest@localhost:5672}" \
  --exchange="${QUEUE_NAME:-sms}" --routing-key=work --persistent \
  --content-type=application/json --header="run: orders" --line-buffered
