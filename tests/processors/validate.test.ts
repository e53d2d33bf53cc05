import { describe, expect, it } from 'vitest';
import { createValidator } from '../../processors/validate.ts';
import { FILES, load } from '../config/project.ts';

describe('a text with half of a surrogate pair', () => {
  const [source] = load(FILES).sources;
  if (source === undefined) throw new Error('a source');
  const validate = createValidator(source);
  const event = { id: 'e1', type: 'order.placed', time: 1, order_id: 'o', customer: 'c', amount: 1 };

  it('is refused in the id as in a field: stored, it would be another text', () => {
    expect(validate(event)).toBeNull();
    expect(validate({ ...event, customer: '\ud800' })).toMatchObject({ code: 'wrong_type' });
    expect(validate({ ...event, id: '\udfff' })).toMatchObject({
      code: 'wrong_type',
      detail: 'The event\'s id is "\\udfff", which holds half of a surrogate pair.',
    });
  });
});
