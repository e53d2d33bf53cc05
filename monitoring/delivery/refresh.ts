import type { Sender } from '../../infrastructure/alerting/sender.ts';
import { type Delivery, receiversOf } from '../../models/alerting/deliveries.ts';
import type { Project } from '../../schemas/project.ts';
import type { Alert } from '../../schemas/records/alert.ts';
import type { Telemetry } from '../../streams/runtime/telemetry.ts';
import type { Deliverer } from './deliver.ts';

const CHANGES_A_POST = 100;

export interface RefreshDeps {
  readonly project: Pick<Project, 'alerting' | 'connections'>;
  readonly sender: Sender;
  readonly deliverer: Pick<Deliverer, 'unsilenced'>;
  readonly telemetry: Telemetry;
}

/** Receivers that have to be told again and again of what fires: an Alertmanager keeps no alerts over its restart. */
export function refreshedReceivers({ alerting, connections }: RefreshDeps['project']): readonly string[] {
  const routed = new Set(alerting.routes.flatMap(({ receivers }) => receivers));
  return [...routed].filter((name) => {
    const receiver = connections.receivers[name];
    return receiver?.kind === 'alertmanager' && receiver.url !== '';
  });
}

/**
 * Tells one such receiver of everything that fires by `changes`, as Prometheus does of its own alerts. It changes
 * nothing that is known, so it is not written down; what fails is made good by the next time.
 */
export async function refresh(
  { project, sender, deliverer, telemetry }: RefreshDeps,
  receiver: string,
  changes: readonly Alert[],
  signal: AbortSignal,
): Promise<void> {
  const latest = new Map(changes.map((alert) => [alert.fingerprint, alert]));
  const firing = [...latest.values()].filter(
    (alert) => alert.state === 'firing' && receiversOf(project.alerting, alert).includes(receiver),
  );
  for (let at = 0; at < firing.length && !signal.aborted; at += CHANGES_A_POST) {
    const part = firing.slice(at, at + CHANGES_A_POST);
    const delivery: Delivery = await deliverer.unsilenced({ id: '', receiver, group: {}, changes: part });
    if (delivery.changes.length === 0) continue;
    const sent = await sender.send(delivery, signal).catch((error: unknown) => {
      if (signal.aborted) return null;
      throw error;
    });
    if (sent !== null && sent.kind !== 'delivered')
      telemetry.note('delivery', 'a receiver could not be reminded of what fires', {
        receiver,
        reason: sent.reason,
      });
  }
}
