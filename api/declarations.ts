import type { Project } from '../schemas/project.ts';
import type { View } from '../schemas/view.ts';

/** A view as it would be, compiled in the project that it would be part of. */
export interface Trial {
  readonly project: Project;
  readonly view: View;
  /** The project has a view of this name already. */
  readonly replaces: boolean;
  /** The text is the one that the project has. */
  readonly same: boolean;
}

/** The YAML of the project, where this process has it at hand. */
export interface Declarations {
  /** Text of the declaration of a view. */
  text(view: string): string | null;
  /** Throws ConfigError with every problem, its line and what to do. */
  trial(text: string): Trial;
}
