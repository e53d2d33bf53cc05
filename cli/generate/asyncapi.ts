import type { Schema } from 'avsc';
import { rawSchema, validatedSchema } from '../../schemas/event-schema.ts';
import { rawTopic, topics } from '../../schemas/names.ts';
import type { Project, Source } from '../../schemas/project.ts';
import { alertSchema } from '../../schemas/records/alert.ts';
import { deadLetterSchema } from '../../schemas/records/dead-letter.ts';
import { modelVersionSchema } from '../../schemas/records/model-version.ts';
import { predictionSchema } from '../../schemas/records/prediction.ts';
import { topicSpecs } from '../../streams/apply/apply.ts';
import {
  eventSchema,
  featuresSchema,
  type JsonSchema,
  jsonSchemaOfAvro,
  recordSchema,
  requestSchema,
} from './json-schemas.ts';

/** What travels on a topic: Avro of ours behind the registry's five bytes, or a team's own form. */
interface Message {
  readonly name: string;
  readonly title: string;
  readonly key: string;
  readonly payload: { readonly avro: Schema } | { readonly json: JsonSchema } | null;
}

interface Topic {
  readonly id: string;
  readonly topic: string;
  readonly description: string;
  /** Who writes it. */
  readonly action: 'receive' | 'send';
  readonly messages: readonly Message[];
}

const ABOUT =
  'Topics of a Millrace project. Avro values have five bytes of the schema registry in front (a zero, then the id of the schema). ' +
  'A record without a value and with the header `mr-clock` is a clock of a replay: skip it. Topics of views and of definitions are internal, and left out. ' +
  'The schemas below `components` are the JSON forms: of events as the HTTP API takes them, of features and predictions as it gives them.';

/** The AsyncAPI 3 document of a project's topics. */
export function asyncApiOf(project: Project): JsonSchema {
  const all = topicsOf(project);
  const specs = new Map(topicSpecs(project).map((spec) => [spec.name, spec]));
  return {
    asyncapi: '3.0.0',
    info: { title: project.name, version: project.hash.slice(0, 12), description: ABOUT },
    defaultContentType: 'application/vnd.apache.avro+binary',
    channels: Object.fromEntries(
      all.map(({ id, topic, description, messages }) => [
        id,
        {
          address: topic,
          description,
          messages: Object.fromEntries(
            messages.map(({ name }) => [name, { $ref: `#/components/messages/${name}` }]),
          ),
          bindings: {
            kafka: { topic, partitions: specs.get(topic)?.partitions ?? 1, bindingVersion: '0.5.0' },
          },
        },
      ]),
    ),
    operations: Object.fromEntries(
      all.map(({ id, action, messages }) => [
        `${action}.${id}`,
        {
          action,
          channel: { $ref: `#/channels/${id}` },
          messages: messages.map(({ name }) => ({ $ref: `#/channels/${id}/messages/${name}` })),
        },
      ]),
    ),
    components: {
      messages: Object.fromEntries(
        all.flatMap(({ messages }) => messages).map((message) => [message.name, messageOf(message)]),
      ),
      schemas: jsonForms(project),
    },
  };
}

/** Letters that a key of `components` may have. */
const keyOf = (text: string) => text.replace(/[^A-Za-z0-9._-]/g, '_');

function messageOf({ name, title, key, payload }: Message): JsonSchema {
  const avro = payload !== null && 'avro' in payload;
  return {
    name,
    title,
    ...(payload === null
      ? {}
      : avro
        ? {
            payload: { schemaFormat: 'application/vnd.apache.avro+json;version=1.9.0', schema: payload.avro },
          }
        : { contentType: 'application/json', payload: payload.json }),
    bindings: {
      kafka: {
        key: { type: 'string', description: key },
        ...(avro ? { schemaIdLocation: 'payload', schemaIdPayloadEncoding: 'confluent' } : {}),
        bindingVersion: '0.5.0',
      },
    },
  };
}

function topicsOf(project: Project): Topic[] {
  const { prefix } = project;
  return [
    ...project.sources.flatMap((source) => topicsOfSource(prefix, source)),
    ...project.models.flatMap(({ name }) => topicsOfModel(prefix, name)),
    {
      id: 'alerts',
      topic: topics.alerts(prefix),
      description: 'Changes of alerts. Of an id the first record counts.',
      action: 'send' as const,
      messages: [
        { name: 'alert', title: 'A change of an alert', key: 'Fingerprint.', payload: { avro: alertSchema } },
      ],
    },
    {
      id: 'models',
      topic: topics.models(prefix),
      description: 'Versions of the models, and what became of them. Compacted.',
      action: 'send' as const,
      messages: [
        {
          name: 'model-version',
          title: 'A record of the model registry',
          key: 'Model and number.',
          payload: { avro: modelVersionSchema },
        },
      ],
    },
  ];
}

function topicsOfSource(prefix: string, source: Source): Topic[] {
  const { name, key } = source;
  const id = keyOf(name);
  const keyed = `Value of the field ${key}.`;
  return [
    {
      id: `${id}.raw`,
      topic: rawTopic(prefix, source),
      description: `Events of ${name}, as producers write them.`,
      action: 'receive',
      messages: rawMessages(prefix, source, keyed),
    },
    {
      id: `${id}.validated`,
      topic: topics.validated(prefix, name),
      description: `Accepted events of ${name}.`,
      action: 'send',
      messages: [
        {
          name: `${id}.accepted`,
          title: `An accepted event of ${name}`,
          key: keyed,
          payload: { avro: validatedSchema(source, prefix) },
        },
      ],
    },
    {
      id: `${id}.dead-letters`,
      topic: topics.deadLetters(prefix, name),
      description: `Records of ${name} that were not taken, with the reason.`,
      action: 'send',
      messages: [
        {
          name: `${id}.dead-letter`,
          title: 'A record that was not taken',
          key: 'As it was.',
          payload: { avro: deadLetterSchema },
        },
      ],
    },
  ];
}

function rawMessages(prefix: string, source: Source, key: string): Message[] {
  const { name, format, events } = source;
  if (format.kind === 'json')
    return events.map((event) => ({
      name: keyOf(`${name}.${event.name}`),
      title: event.name,
      key,
      payload: { json: recordSchema(source, event, format.mapping) },
    }));
  const payload = format.kind === 'avro' ? { avro: rawSchema(source, prefix) } : null;
  const title =
    payload === null
      ? `An event of ${name}, in the registry's schema ${'subject' in format ? format.subject : ''}`
      : `An event of ${name}`;
  return [{ name: keyOf(`${name}.event`), title, key, payload }];
}

function topicsOfModel(prefix: string, model: string): Topic[] {
  const id = keyOf(model);
  const one = (kind: 'predictions' | 'shadow' | 'asked', description: string): Topic => ({
    id: `${kind}.${id}`,
    topic: topics[kind](prefix, model),
    description,
    action: 'send',
    messages: [
      {
        name: `${id}.${kind}`,
        title: `A prediction of ${model}`,
        key: 'Id of the request.',
        payload: { avro: predictionSchema },
      },
    ],
  });
  return [
    one('predictions', `Answers of ${model}. Of an id the first record of its partition counts.`),
    one('shadow', `Scores of challengers of ${model}, and of the champion before.`),
    one('asked', `Answers of ${model} to whoever asked over HTTP.`),
  ];
}

/** JSON forms by name: events, features, requests, prediction, alert. */
function jsonForms(project: Project): Record<string, JsonSchema> {
  return Object.fromEntries<JsonSchema>([
    ...project.sources.flatMap((source) =>
      source.events.map((event): [string, JsonSchema] => [
        keyOf(`event.${source.name}.${event.name}`),
        eventSchema(source, event),
      ]),
    ),
    ...project.views.map((view): [string, JsonSchema] => [
      keyOf(`features.${view.name}`),
      featuresSchema(project, view),
    ]),
    ...project.models.map((model): [string, JsonSchema] => [
      keyOf(`request.${model.name}`),
      requestSchema(project, model),
    ]),
    ['prediction', jsonSchemaOfAvro(predictionSchema)],
    ['alert', jsonSchemaOfAvro(alertSchema)],
    ['dead-letter', jsonSchemaOfAvro(deadLetterSchema)],
  ]);
}
