import { DAY } from '../schemas/time.ts';
import type { Aggregation } from '../schemas/view.ts';
import { checkKeys, columnKinds, NEEDS } from './aggregations.ts';
import type { Place } from './document.ts';
import { parseDuration } from './durations.ts';
import { type Compiled, compileFeature, textOf } from './feature-code.ts';
import type { InputParts } from './inputs.ts';
import { listOf } from './lists.ts';
import { isPeriodic, type Span, stretchesOf, windowsOf } from './spans.ts';
import { columnsOf, draftSet, type SetDraft, sketchOf } from './tiles.ts';
import type { ViewContext } from './view-context.ts';
import type { FeatureDeclaration } from './view-declaration.ts';

export function expandFeature(feature: FeatureDeclaration, place: Place, context: ViewContext): void {
  const valid = checkKeys(feature, place, context);
  const periodic = isPeriodic(feature);
  const spans = periodic ? stretchesOf(feature, place, context) : windowsOf(feature, place, context);
  const compiled = compileFeature(feature, place, context);
  if (!valid || spans === null || compiled === null) return;
  for (const aggregation of listOf(feature.aggregation))
    expandAggregation(feature, aggregation, spans, compiled, place, context);
}

function draftOf(context: ViewContext, kind: SetDraft['kind']): number {
  const index = context.drafts.findIndex((draft) => draft.kind === kind);
  if (index >= 0) return index;
  return (
    context.drafts.push(draftSet(kind, kind === 'sketches' ? context.sketchResolution : context.resolution)) -
    1
  );
}

function inputOf(
  feature: FeatureDeclaration,
  aggregation: Aggregation,
  compiled: Compiled,
  context: ViewContext,
): number {
  const { of } = compiled;
  const { of: kind } = NEEDS[aggregation];
  const shared = { source: compiled.source.name, events: compiled.events, where: compiled.where };
  const value =
    kind === 'value' || (kind === 'optional' && feature.scale !== undefined && of?.type === 'number');
  const reading: InputParts['reading'] = value
    ? 'value'
    : kind === 'condition'
      ? 'condition'
      : kind === 'any'
        ? 'hash'
        : 'event';
  const parts: InputParts = {
    ...shared,
    of: feature.of === undefined ? null : textOf(feature.of),
    reading,
    scale: reading === 'value' ? (feature.scale ?? 1) : 1,
    range: reading === 'value' ? (feature.range ?? null) : null,
  };
  return context.inputs.add(feature.name, parts, {
    where: compiled.whereCode,
    of: of === null ? null : of.evaluate,
  });
}

const quantileName = (quantile: number) => `p${String(Math.round(quantile * 1e6) / 1e4).replace('.', '_')}`;

function expandAggregation(
  feature: FeatureDeclaration,
  aggregation: Aggregation,
  spans: readonly Span[],
  compiled: Compiled,
  place: Place,
  context: ViewContext,
): void {
  const several = listOf(feature.aggregation).length > 1;
  const base = several && aggregation !== 'quantile' ? `${feature.name}_${aggregation}` : feature.name;
  const input = inputOf(feature, aggregation, compiled, context);
  const scale = NEEDS[aggregation].of === 'value' ? (feature.scale ?? 1) : 1;
  const [low, high] = feature.range ?? [0, 0];
  const sketch = aggregation === 'distinct' || aggregation === 'quantile';
  const periodic = isPeriodic(feature);
  const set = draftOf(context, sketch ? 'sketches' : periodic ? 'periodic' : 'windows');
  const draft = context.drafts[set];
  if (draft === undefined) return;
  const columns = sketch
    ? [
        sketchOf(draft, {
          kind: aggregation === 'distinct' ? 'hll' : 'ddsketch',
          input,
          precision: feature.precision,
          alpha: feature.accuracy,
        }),
      ]
    : columnsOf(draft, input, columnKinds(aggregation, Math.max(Math.abs(low), Math.abs(high)) * scale));
  const quantiles = aggregation === 'quantile' ? (feature.quantiles ?? []) : [0];
  for (const quantile of quantiles)
    for (const span of spans) {
      const name = `${aggregation === 'quantile' ? `${base}_${quantileName(quantile)}` : base}_${span.suffix}`;
      if (periodic) {
        const every = parseDuration(feature.every ?? '1d') ?? DAY;
        const times = feature.times ?? 1;
        draft.farthest = Math.max(draft.farthest, times * every - span.from);
        context.add(
          {
            kind: 'periodic',
            name,
            aggregation,
            set,
            columns,
            scale,
            every,
            times,
            from: span.from,
            to: span.to,
          },
          null,
          place,
        );
      } else {
        draft.windows.add(span.length ?? 0);
        context.add(
          {
            kind: 'window',
            name,
            aggregation,
            set,
            window: 0,
            columns,
            scale,
            halfLife: aggregation.startsWith('decayed_') ? (parseDuration(feature.half_life ?? '') ?? 0) : 0,
            quantile,
          },
          span.length,
          place,
        );
      }
    }
}
