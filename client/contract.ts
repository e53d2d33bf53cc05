import type { Connections, Model, Project } from '../schemas/project.ts';

/** What a client knows of a project: its topics, and the shape of its events. Plain data, which a generated client holds. */
export interface Contract extends Pick<Project, 'name' | 'prefix' | 'sources'> {
  readonly models: ReadonlyArray<Pick<Model, 'name'>>;
}

/** A contract and where to reach it. A whole project is one. */
export interface ClientProject extends Contract {
  readonly connections: Pick<Connections, 'kafka' | 'registry'>;
}
