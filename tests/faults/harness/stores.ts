import { keys } from '../../../schemas/names.ts';
import type { Project, RedisConnection } from '../../../schemas/project.ts';
import { type ClusterSetup, startCluster } from '../../infrastructure/redis/clusters.ts';
import { type SentinelSetup, startSentinels } from '../../infrastructure/redis/sentinels.ts';

/** What holds a project's keys instead of one server. */
export interface ManyServers {
  readonly connection: RedisConnection;
  readonly cluster?: ClusterSetup;
  readonly sentinels?: SentinelSetup;
}

export type StoreKind = 'cluster' | 'sentinels';

export const STORES: Readonly<Record<StoreKind, () => Promise<ManyServers>>> = {
  async cluster() {
    const cluster = await startCluster();
    return { connection: cluster.connection, cluster };
  },
  async sentinels() {
    const sentinels = await startSentinels();
    return { connection: sentinels.connection, sentinels };
  },
};

export async function stopStore({ cluster, sentinels }: Omit<ManyServers, 'connection'>): Promise<void> {
  await cluster?.stop();
  await sentinels?.stop();
}

/** Prefix of the keys of some partition of some view. */
export function viewKey({
  project,
  random,
}: {
  readonly project: Project;
  readonly random: () => number;
}): string {
  const view = project.views[Math.floor(random() * project.views.length)];
  if (view === undefined) throw new Error('the project has views');
  return keys.viewPartition(project.prefix, view.id, Math.floor(random() * view.partitions));
}

/**
 * The primary of a key is killed (or hangs) until another has taken over, and comes back as its replica. Answers after how long that
 * was, ms; null where there is one server alone.
 */
export async function failPrimary(
  { cluster, sentinels }: Omit<ManyServers, 'connection'>,
  key: string,
  how: 'killed' | 'hung',
): Promise<number | null> {
  const old = await (cluster?.primaryOf(key) ?? sentinels?.primary());
  if (old === undefined) return null;
  if (how === 'hung') old.freeze();
  else await old.kill();
  const began = Date.now();
  await (cluster?.failedOver(key, old) ?? sentinels?.failedOver(old));
  const tookMs = Date.now() - began;
  if (how === 'hung') old.thaw();
  else await old.start();
  return tookMs;
}
