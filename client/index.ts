/// <reference types="node" preserve="true" />
/** The client library: send events, follow predictions. Everything is typed by the project's contracts. */

export { loadProject } from '../config/load.ts';
export { DELIVERY_HEADERS, type Received, verifyDelivery } from '../infrastructure/alerting/signature.ts';
export type { EventRecord, Scalar } from '../schemas/event.ts';
export type { Project } from '../schemas/project.ts';
export type { Alert, AlertState } from '../schemas/records/alert.ts';
export type { Prediction, PredictionStatus, ViewReading } from '../schemas/records/prediction.ts';
export { MillraceError } from '../schemas/refusal.ts';
export {
  type AlertHandler,
  type AlertSubscribeOptions,
  type AlertSubscription,
  subscribeAlerts,
  UnreadableAlert,
} from './alerts.ts';
export { ApiError } from './api-error.ts';
export type { HttpClientOptions } from './ask.ts';
export type { ClientProject, Contract } from './contract.ts';
export { createHttpClient } from './http-client.ts';
export { createKafkaClient, type KafkaClientOptions } from './kafka-client.ts';
export type { Ports } from './ports.ts';
export {
  createProducer,
  type EventInput,
  type EventProducer,
  type ProducerOptions,
  produce,
} from './produce.ts';
export { eventsOf, openProject } from './project.ts';
export {
  type Checkpoint,
  type PredictionHandler,
  type SubscribeOptions,
  type Subscription,
  SubscriptionError,
  subscribe,
} from './subscribe.ts';
export type {
  Answer,
  AskingClient,
  EventClient,
  FeatureOptions,
  FeatureRow,
  Followed,
  FollowOptions,
  PredictOptions,
  ProjectTypes,
  RefusedRow,
  TypedHandler,
  TypedPrediction,
} from './typed.ts';
