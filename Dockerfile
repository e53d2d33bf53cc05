# Millrace as an image: `docker build -t millrace .`, then `docker run millrace --help`.
# docs/user_guides/deploy.md tells how to run it.

# What compiles: the development dependencies stay in this stage.
FROM node:24-bookworm-slim AS build
WORKDIR /src
COPY package.json package-lock.json .npmrc ./
RUN npm install --ignore-scripts
COPY . .
RUN node .ci/build.mjs

# What runs needs, at the locked versions, without a single install script.
FROM node:24-bookworm-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm install --omit=dev --ignore-scripts

FROM node:24-bookworm-slim
LABEL org.opencontainers.image.title="Millrace" \
      org.opencontainers.image.description="Real-time machine learning on Kafka, in TypeScript" \
      org.opencontainers.image.licenses="Apache-2.0"
# MILLRACE_DATA holds models, data sets and keys: give it a volume.
ENV NODE_ENV=production \
    MILLRACE_DATA=/data
WORKDIR /app
COPY --from=dependencies /app ./
COPY --from=build /src/dist ./dist
RUN mkdir /data /project \
 && chown 1000:1000 /data /project \
 && ln -s /app/dist/cli/millrace.js /usr/local/bin/millrace
# A project's YAML is mounted here, or copied by an image of your own that begins with FROM millrace.
WORKDIR /project
USER 1000:1000
VOLUME /data
EXPOSE 8420 9400
# /live answers while the process does; /health also says whether every stream runs.
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:9400/live').then((a) => process.exit(a.ok ? 0 : 1), () => process.exit(1))"]
# Node is process 1: Millrace takes SIGTERM itself, drains and ends, and waits for the processes that it starts.
ENTRYPOINT ["node", "/app/dist/cli/millrace.js"]
CMD ["run", "--metrics-port", "9400", "--metrics-host", "0.0.0.0"]
