import type { Source } from '../schemas/project.ts';
import type { StoredFeature } from '../schemas/view.ts';
import type { Place } from './document.ts';
import type { ExpressionCompiler } from './expression.ts';
import type { InputList } from './inputs.ts';
import type { Reporter } from './reporter.ts';
import type { SetDraft } from './tiles.ts';
import type { ViewDeclaration } from './view-declaration.ts';

export interface ViewContext {
  readonly view: ViewDeclaration;
  readonly place: Place;
  readonly sources: readonly Source[];
  readonly compilerOf: (source: Source) => ExpressionCompiler;
  readonly reporter: Reporter;
  readonly inputs: InputList;
  readonly drafts: SetDraft[];
  readonly resolution: number;
  readonly sketchResolution: number;
  readonly readDelay: number;
  readonly maxDelay: number;
  /** `length` is the window, ms: its index is known when all features are. */
  add(feature: StoredFeature, length: number | null, place: Place): void;
}
