/** A member of a group and the topics it reads. */
export interface Subscriber {
  readonly id: string;
  readonly topics: readonly string[];
}

/**
 * Shares of the members of a group, by id: partitions dealt round in turn, in order of topic and number, each to the
 * next member that reads its topic.
 */
export function assignRoundRobin<P>(
  members: readonly Subscriber[],
  partitionsOf: (topic: string) => readonly P[],
): Map<string, P[]> {
  const shares = new Map<string, P[]>(members.map((member) => [member.id, []]));
  const topics = [...new Set(members.flatMap((member) => member.topics))].sort();
  let next = 0;
  for (const topic of topics) {
    for (const partition of partitionsOf(topic)) {
      for (let tries = 0; tries < members.length; tries++) {
        const member = members[next++ % members.length];
        if (member?.topics.includes(topic) !== true) continue;
        shares.get(member.id)?.push(partition);
        break;
      }
    }
  }
  return shares;
}
