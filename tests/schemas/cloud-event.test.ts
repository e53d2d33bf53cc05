import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  alertsEvent,
  binaryHeaders,
  predictionEvent,
  STRUCTURED_JSON,
  structuredBody,
} from '../../schemas/cloud-event.ts';
import { PREDICTION_STATUSES, type Prediction } from '../../schemas/records/prediction.ts';
import { attributesOfRecord, faultsOf, structuredFaults } from './cloud-event-rules.ts';

const predictionOf = (requestId: string, requestTime: number, status: Prediction['status'] = 'scored') =>
  ({ id: `${requestId}:late`, model: 'late', requestId, requestTime, status }) as Prediction;

const asBytes = (headers: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, Buffer.from(value)]));

describe('the rules of CloudEvents, as the tests hold them', () => {
  const sound = { specversion: '1.0', id: 'a', source: '/x', type: 't' };
  it.each([
    ['nothing wrong', sound, []],
    ['no id', { specversion: '1.0', source: '/x', type: 't' }, ['no id']],
    ['another version', { ...sound, specversion: '0.3' }, ['specversion is not 1.0']],
    ['a source that is no reference', { ...sound, source: 'a b' }, ['source is no URI-reference']],
    ['a time without a zone', { ...sound, time: '2026-01-01T00:00:00' }, ['time']],
    ['a control character', { ...sound, subject: 'a\nb' }, ['subject holds U+a']],
    ['a capital in a name', { ...sound, partitionKey: 'a' }, ['the name partitionKey']],
    ['an empty text', { ...sound, subject: '' }, ['subject is empty']],
  ])('%s', (_, attributes, faults) => expect(faultsOf(attributes)).toEqual(faults));
});

describe('a prediction as a CloudEvent', () => {
  it('says which request of which model, and when', () => {
    const event = predictionEvent('shop', predictionOf('r-1', Date.UTC(2026, 0, 31)));
    expect(binaryHeaders(event)).toEqual({
      ce_specversion: '1.0',
      ce_id: 'r-1:late',
      ce_source: '/millrace/shop/models/late',
      ce_type: 'millrace.prediction.scored',
      ce_subject: 'r-1',
      ce_time: '2026-01-31T00:00:00.000Z',
      'content-type': 'application/vnd.apache.avro+binary',
    });
  });

  it('keeps the rules for whatever a producer calls its events, and any time', () => {
    const text = fc.oneof(fc.string({ unit: 'binary' }), fc.string());
    fc.assert(
      fc.property(
        text,
        fc.oneof(fc.integer(), fc.maxSafeInteger(), fc.date().map(Number)),
        fc.constantFrom(...PREDICTION_STATUSES),
        (id, time, status) => {
          const headers = binaryHeaders(predictionEvent('p.1', predictionOf(id, time, status)));
          const attributes = attributesOfRecord(asBytes(headers));
          expect(faultsOf(attributes)).toEqual([]);
          // A text that is sound as it is stays as it is.
          if (id !== '' && !/[^ -~]/.test(id)) expect(attributes.subject).toBe(id);
        },
      ),
    );
  });

  it.each(['a\u0000b', 'a\ud800b', 'a\uffffb', '\u{1fffe}', '\u0085', '\ufdd0'])('id %j', (id) =>
    expect(faultsOf({ ...predictionEvent('p', predictionOf(id, 0)) })).toEqual([]),
  );
});

it('alerts in structured mode keep the rules', () => {
  const body = structuredBody(alertsEvent('p', 'd1', Date.UTC(2026, 0, 1)), { alerts: [1] });
  expect(structuredFaults(STRUCTURED_JSON, body)).toEqual([]);
  expect(JSON.parse(body)).toMatchObject({
    id: 'd1',
    type: 'millrace.alerts.changed',
    data: { alerts: [1] },
  });
});
