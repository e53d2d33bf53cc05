import { describe, expect, it } from 'vitest';
import { DAY, HOUR, SECOND } from '../../schemas/time.ts';
import { FILES, lines, load, problems } from './project.ts';

const SERVERS = `kafka: {brokers: a:1}
redis: {url: r}
registry: {url: r}
clickhouse: {url: c}
`;
const CONNECTIONS = `${SERVERS}receivers:
  oncall: {webhook: '\${env:HOOK:-}', secret: '\${env:HOOK_SECRET:-}'}
  am: {alertmanager: 'http://am:9093'}
allow_private: ['\${env:ALLOW:-}', 'am:9093']
`;
const ALERTS = `rules:
  - {rule: worse, on: quality, condition: fired}
routes:
  - {severity: [page], to: [oncall, am]}
  - {rules: [worse], to: [am]}
`;
const with_ = (alerts: string, connections = CONNECTIONS) => ({
  ...FILES,
  'alerts.yaml': alerts,
  'connections.yaml': connections,
});

describe('alerts.yaml', () => {
  it('has defaults', () => {
    const { alerting } = load(with_(ALERTS));
    expect(alerting.delivery).toEqual({ timeout: 10 * SECOND, tries: 3, giveUpAfter: DAY });
    expect(alerting.groupBy).toEqual(['rule', 'model']);
    expect(alerting.routes).toEqual([
      { severities: ['page'], rules: [], receivers: ['oncall', 'am'] },
      { severities: ['info', 'warning', 'page'], rules: ['worse'], receivers: ['am'] },
    ]);
    expect(load(FILES).alerting.delivery).toEqual(alerting.delivery);
    const declared = `${ALERTS}delivery: {timeout: 2s, tries: 1, give_up_after: 1h}\n`;
    expect(load(with_(declared)).alerting.delivery).toEqual({
      timeout: 2 * SECOND,
      tries: 1,
      giveUpAfter: HOUR,
    });
  });

  it('takes receivers from the environment; an empty one is off', () => {
    expect(load(with_(ALERTS)).connections.receivers.oncall).toEqual({
      kind: 'webhook',
      url: '',
      secret: null,
    });
    const environment = { HOOK: 'https://h.example.com', HOOK_SECRET: 's', ALLOW: '127.0.0.1:1,127.0.0.1:2' };
    const { connections } = load(with_(ALERTS), { environment });
    expect(connections.receivers).toEqual({
      oncall: { kind: 'webhook', url: 'https://h.example.com', secret: 's' },
      am: { kind: 'alertmanager', url: 'http://am:9093' },
    });
    expect(connections.allowPrivate).toEqual(['127.0.0.1:1,127.0.0.1:2', 'am:9093']);
  });

  it.each([
    [
      'a receiver that is none',
      with_(ALERTS.replace('oncall', 'onkall')),
      "alerts.yaml:4:29: There is no receiver 'onkall' in connections.yaml. Did you mean 'oncall'?",
    ],
    [
      'a route of a rule that is none',
      with_(ALERTS.replace('[worse]', '[wors]')),
      "alerts.yaml:5:14: There is no rule 'wors'. Did you mean 'worse'?",
    ],
    [
      'a receiver that may take no time',
      with_(`${ALERTS}delivery: {timeout: 0s}\n`),
      'alerts.yaml:6:21: A receiver that may take no time is never told. Say 10s.',
    ],
    [
      'a secret in the file',
      with_(ALERTS, CONNECTIONS.replace(/secret: '[^']*'/, 'secret: hush')),
      `connections.yaml:6:46: The secret 'secret' is written out in the file. Put it into the environment and write '\${env:RECEIVERS_SECRET}'.`,
    ],
  ])('refuses %s', (_, files, sentence) => {
    expect(lines(problems(files)).join('\n')).toBe(sentence);
  });
});
