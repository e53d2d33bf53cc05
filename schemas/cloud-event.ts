import type { Prediction } from './records/prediction.ts';

/*
 * What Millrace emits as CloudEvents 1.0 (cloudevents.io), where a declaration asks for it: predictions in Kafka's binary mode, whose
 * attributes are headers beside the value as it ever was, and alerts for webhooks in structured mode, as one JSON body.
 */

/** Attributes of an event; `source` and `id` together name it, so that a repeat has the same. */
export interface CloudEventAttributes {
  readonly specversion: '1.0';
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly subject?: string;
  /** RFC 3339. */
  readonly time?: string;
}

export const STRUCTURED_JSON = 'application/cloudevents+json; charset=utf-8';
/** Avro with five bytes of the schema registry in front. */
const AVRO = 'application/vnd.apache.avro+binary';

/** Characters that the type String of CloudEvents excludes: controls, lone surrogates and noncharacters. Percent-encoded here. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const EXCLUDED = /[\u0000-\u001f\u007f-\u009f\ufdd0-\ufdef]|\p{Surrogate}|\p{Noncharacter_Code_Point}/gu;

const textOf = (value: string) =>
  value.replace(EXCLUDED, (one) =>
    [...Buffer.from(one)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  );

/** RFC 3339 has four digits for the year. Absent where a time has more. */
function timeOf(epochMs: number): { readonly time?: string } {
  const date = new Date(epochMs);
  if (Number.isNaN(date.getTime())) return {};
  const time = date.toISOString();
  return /^\d{4}-/.test(time) ? { time } : {};
}

/** The event that a prediction is: that a request was scored, or refused. Its time is the request's event time. */
export function predictionEvent(
  prefix: string,
  { id, model, requestId, requestTime, status }: Prediction,
): CloudEventAttributes {
  return {
    specversion: '1.0',
    id: textOf(id),
    source: `/millrace/${prefix}/models/${model}`,
    type: `millrace.prediction.${status}`,
    ...(requestId === '' ? {} : { subject: textOf(requestId) }),
    ...timeOf(requestTime),
  };
}

/** Headers of a Kafka record in binary mode, whose value is Avro. */
export function binaryHeaders(attributes: CloudEventAttributes): Record<string, string> {
  return {
    ...Object.fromEntries(Object.entries(attributes).map(([name, value]) => [`ce_${name}`, value])),
    'content-type': AVRO,
  };
}

/** The event that a delivery of alerts is: a change of one or more, told together. `at`: when the last of them changed, epoch ms. */
export function alertsEvent(prefix: string, delivery: string, at: number): CloudEventAttributes {
  return {
    specversion: '1.0',
    id: textOf(delivery),
    source: `/millrace/${prefix}/alerts`,
    type: 'millrace.alerts.changed',
    ...timeOf(at),
  };
}

/** A body in structured mode. */
export const structuredBody = (attributes: CloudEventAttributes, data: unknown): string =>
  JSON.stringify({ ...attributes, datacontenttype: 'application/json', data });
