import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Kafka, logLevel } from 'kafkajs';
import { StackError } from './errors.ts';
import { cached, checkSum, exists, maven, requireJava, run, sha256OfDirectory } from './install.ts';
import type { Service } from './service.ts';
import { kafkaHeap, kafkaSettings, ports } from './settings.ts';
import { versions } from './versions.ts';

const pinned = versions.kafka;

const pom = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>millrace.local</groupId><artifactId>kafka</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_${pinned.scala}</artifactId><version>${pinned.version}</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>${pinned.slf4j}</version></dependency>
  </dependencies>
</project>
`;

function properties(dataDir: string, port: number, controller: number): string {
  const all: Record<string, string> = {
    ...kafkaSettings,
    'process.roles': 'broker,controller',
    'node.id': '1',
    'controller.quorum.voters': `1@127.0.0.1:${controller}`,
    'controller.listener.names': 'CONTROLLER',
    listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controller}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${port}`,
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'log.dirs': join(dataDir, 'log'),
  };
  return `${Object.entries(all)
    .map(([name, value]) => `${name}=${value}`)
    .join('\n')}\n`;
}

/** Apache Kafka, one node, controller and broker in one (KRaft), from Maven's jars. */
export const kafka: Service = {
  name: 'kafka',
  needs: [],
  ports: { main: ports.kafka, controller: ports.kafka + 1 },
  startWithinMs: 120_000,
  stopWithinMs: 15_000,
  address: (port) => `127.0.0.1:${port}`,

  async install({ cacheDir, report, signal }) {
    await requireJava(versions.java);
    return cached(cacheDir, `kafka-${pinned.version}`, async (directory) => {
      report('download', `Kafka ${pinned.version}, ${pinned.jars} jars, 43 MB`);
      await writeFile(join(directory, 'pom.xml'), pom);
      let files = 0;
      await maven(
        [
          'dependency:copy-dependencies',
          '-DincludeScope=runtime',
          `-DoutputDirectory=${join(directory, 'jars')}`,
        ],
        {
          cwd: directory,
          signal,
          what: `Kafka ${pinned.version}`,
          onFile: (file) => {
            files += 1;
            report('download', `${file} (${files})`);
          },
        },
      );
      const found = await sha256OfDirectory(join(directory, 'jars'));
      checkSum(`Kafka ${pinned.version} (${found.files} jars)`, pinned.sha256, found.sha256);
    });
  },

  async launch({ installed, dataDir, ports: given, signal }) {
    const file = join(dataDir, 'server.properties');
    await writeFile(file, properties(dataDir, given.main ?? 0, given.controller ?? 0));
    const common = [
      '-cp',
      join(installed, 'jars', '*'),
      '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
      '-Dorg.slf4j.simpleLogger.showDateTime=true',
    ];
    if (!(await exists(join(dataDir, 'log', 'meta.properties')))) {
      const uuid = clusterId();
      const ran = await run(
        'java',
        [
          '-Xmx128m',
          '-XX:+UseSerialGC',
          '-XX:TieredStopAtLevel=1',
          ...common,
          'kafka.tools.StorageTool',
          'format',
          '-t',
          uuid,
          '-c',
          file,
        ],
        { signal },
      );
      if (ran.code !== 0) {
        throw new StackError(
          'start_failed',
          `Kafka could not format its data directory ${dataDir}: ${ran.stderr.trim().split('\n')[0] ?? ''} Remove it with \`millrace down --wipe\`.`,
        );
      }
    }
    return { command: 'java', args: [...kafkaHeap, ...common, 'kafka.Kafka', file], env: {}, cwd: dataDir };
  },

  async ready(given) {
    const client = new Kafka({
      clientId: 'millrace-stack',
      brokers: [`127.0.0.1:${given.main}`],
      logLevel: logLevel.NOTHING,
      connectionTimeout: 1_000,
      requestTimeout: 3_000,
      retry: { retries: 0 },
    });
    const admin = client.admin();
    try {
      await admin.connect();
      const cluster = await admin.describeCluster();
      return cluster.brokers.length > 0 && cluster.controller !== null;
    } finally {
      await admin.disconnect().catch(() => undefined);
    }
  },
};

/** 16 random bytes in base64. The formatter would take one that begins with a dash for an option. */
function clusterId(): string {
  for (;;) {
    const id = Buffer.from(crypto.getRandomValues(new Uint8Array(16))).toString('base64url');
    if (!id.startsWith('-')) return id;
  }
}
