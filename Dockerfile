# One image, three commands: docker run redial producer --num-messages 1000 | sender | monitor
# The commands are Node.js itself, not npm: signals reach it, and the exit code is its own.

FROM node:24.18.0-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY scripts/commands scripts/commands
RUN npm ci --ignore-scripts
COPY . .
# The maps lead to sources that are not there.
RUN node scripts/commands/build.js && find dist -name '*.map' -delete

FROM node:24.18.0-bookworm-slim AS packages
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY scripts/commands scripts/commands
RUN npm ci --omit=dev --ignore-scripts

FROM node:24.18.0-bookworm-slim
WORKDIR /app
COPY --from=packages /app/package.json ./
COPY --from=packages /app/scripts scripts
COPY --from=packages /app/node_modules node_modules
COPY --from=build /app/dist dist
ENV NODE_ENV=production \
    PATH=/app/node_modules/.bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    HEARTBEAT_FILE=/tmp/redial-heartbeat
# Nothing is written but the health file: a read-only root file system with a tmpfs on /tmp is enough.
USER node
STOPSIGNAL SIGTERM
ENTRYPOINT []
CMD ["sender"]
# Last, because every revision has other labels.
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="redial" \
      org.opencontainers.image.description="Sends SMS through RabbitMQ and retries what fails, with the retry schedule made of queues" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
