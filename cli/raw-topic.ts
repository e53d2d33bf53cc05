import { topics } from '../schemas/names.ts';

/** The project that owns a raw topic of ours: `shop.views.raw` -> shop, views. */
export function ownerOf(topic: string): { readonly prefix: string; readonly source: string } | null {
  const [prefix = '', source = ''] = topic.split('.');
  return topic === topics.raw(prefix, source) ? { prefix, source } : null;
}
