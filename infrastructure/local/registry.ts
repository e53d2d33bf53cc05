import { rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { StackError } from './errors.ts';
import { cached, checkSum, maven, requireJava, run, sha256, watchSize } from './install.ts';
import type { Service } from './service.ts';
import { ports, registryCompatibility, registryHeap, registrySettings } from './settings.ts';
import { versions } from './versions.ts';

const pinned = versions.registry;

const api = (port: number) => `http://127.0.0.1:${port}/apis/ccompat/v7`;

/** Apicurio Registry on its Confluent-compatible interface; its journal is a Kafka topic. */
export const registry: Service = {
  name: 'registry',
  needs: ['kafka'],
  ports: { main: ports.registry },
  startWithinMs: 120_000,
  stopWithinMs: 10_000,
  address: api,

  async install({ cacheDir, report, signal }) {
    await requireJava(versions.java);
    return cached(cacheDir, `apicurio-registry-${pinned.version}`, async (directory) => {
      report('download', `Apicurio Registry ${pinned.version}, ${pinned.megabytes} MB`);
      const repository = join(homedir(), '.m2/repository/io/apicurio/apicurio-registry-app', pinned.version);
      const stopWatching = watchSize(repository, (bytes) => {
        report('download', `${Math.round(bytes / 1e6)} of ${pinned.megabytes} MB`);
      });
      try {
        await maven(['dependency:copy', `-Dartifact=${pinned.artifact}`, `-DoutputDirectory=${directory}`], {
          cwd: directory,
          signal,
          what: `Apicurio Registry ${pinned.version}`,
        });
      } finally {
        stopWatching();
      }
      const archive = join(directory, `apicurio-registry-app-${pinned.version}-all.tar.gz`);
      checkSum(`Apicurio Registry ${pinned.version}`, pinned.sha256, await sha256(archive));
      report('install', 'unpacking');
      const ran = await run('tar', ['-xzf', archive], { cwd: directory, signal });
      if (ran.code !== 0) {
        throw new StackError(
          'start_failed',
          `Apicurio's archive could not be unpacked: ${ran.missing ? '`tar` is not on PATH' : ran.stderr.trim()}.`,
        );
      }
      await rm(archive);
    });
  },

  async launch({ installed, dataDir, ports: given, kafka }) {
    return {
      command: 'java',
      args: [
        ...registryHeap,
        '-Dquarkus.http.host=127.0.0.1',
        `-Dquarkus.http.port=${given.main}`,
        '-Dquarkus.http.access-log.enabled=false',
        '-Dquarkus.log.category."io.apicurio".level=WARN',
        '-jar',
        join(installed, `apicurio-registry-app-${pinned.version}-runner.jar`),
      ],
      env: { ...registrySettings, APICURIO_KAFKASQL_BOOTSTRAP_SERVERS: kafka },
      cwd: dataDir,
    };
  },

  // The API may answer before the journal is replayed; readiness (health checks are on the same port) knows.
  async ready(given) {
    const url = `http://127.0.0.1:${given.main}/health/ready`;
    const health = await fetch(url, { signal: AbortSignal.timeout(3_000) });
    return health.ok;
  },

  async prepare(given) {
    const answer = await fetch(`${api(given.main ?? 0)}/config`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ compatibility: registryCompatibility }),
      signal: AbortSignal.timeout(10_000),
    });
    if (answer.ok) return;
    throw new StackError(
      'start_failed',
      `The registry refused ${registryCompatibility} as its default compatibility: ${answer.status} ${await answer.text()}`,
    );
  },
};
