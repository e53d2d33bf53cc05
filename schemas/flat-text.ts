import type { Type, types } from 'avsc';

/** The schema has something that is not written out. */
export class NotFlat extends Error {}

/** Beyond it a generated function would be too long for the engine to optimise. */
const MOST_FIELDS = 300;

/** What the texts of generated encoders and decoders (flat-encoder.ts, flat-decoder.ts) have in common. */
export class FlatText {
  /** What the text refers to by its place here: text of the schema does not go into it. */
  readonly tables: unknown[] = [];
  /** Declarations of what is kept from one call to the next. */
  memory = '';
  #names = 0;
  #fields = 0;

  /** A variable that nothing else of the text uses. */
  protected name(): string {
    this.#names += 1;
    return `v${this.#names}`;
  }

  /** The fields of a record, `open` being those that it stands in. Throws NotFlat where it holds itself, or the text gets too long. */
  protected fieldsOf(type: types.RecordType, open: readonly Type[]): readonly types.Field[] {
    if (open.includes(type)) throw new NotFlat();
    this.#fields += type.fields.length;
    if (this.#fields > MOST_FIELDS) throw new NotFlat();
    return type.fields;
  }

  /** The branches of a union of null (at `none`) and one type. Throws NotFlat for any other. */
  protected branchesOf({ types: branches }: types.UnwrappedUnionType): {
    readonly none: number;
    readonly some: Type;
  } {
    const none = branches.findIndex(({ typeName }) => typeName === 'null');
    const [some, ...more] = branches.filter(({ typeName }) => typeName !== 'null');
    if (none < 0 || some === undefined || more.length > 0) throw new NotFlat();
    return { none, some };
  }
}
