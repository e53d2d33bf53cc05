import type { ArtefactStore } from '../../infrastructure/artefacts/port.ts';
import type { ModelRegistry } from '../../infrastructure/registry/models.ts';
import { parseArtefact } from '../../models/artefact.ts';
import { judgeOffline, type OfflineVerdict } from '../../models/rollout/offline-gate.ts';
import { createScorer, type Scorer } from '../../models/scorer.ts';
import type { Model } from '../../schemas/project.ts';
import { iso } from '../../streams/runtime/iso.ts';
import type { DataSet } from '../training/dataset.ts';
import { RolloutRefused } from './moves.ts';

/** Rows that neither version learnt from. */
export interface GateData {
  readonly set: Pick<DataSet, 'rows' | 'labels' | 'times' | 'from' | 'to' | 'hash'>;
  /** By name of the slicing, the slice of each row; null for none. */
  readonly slices?: Readonly<Record<string, ReadonlyArray<string | null>>>;
}

export interface GateResult {
  readonly pass: boolean;
  readonly sentence: string;
  readonly verdict: OfflineVerdict;
  /** What it was held against; null where there is none that scores this layout. */
  readonly champion: number | null;
  /** Plain JSON, for the registry. */
  readonly evidence: object;
}

/**
 * Candidate against champion on the same rows. A champion that learnt another layout cannot score them (nor live requests any
 * more), so the candidate is then held against its own calibration alone.
 *
 * @param candidate address of its artefact.
 * @throws RolloutRefused where the candidate learnt from rows it is judged on.
 */
export async function judgeCandidate(
  deps: { readonly registry: Pick<ModelRegistry, 'history'>; readonly artefacts: Pick<ArtefactStore, 'get'> },
  { model, candidate, data }: { readonly model: Model; readonly candidate: string; readonly data: GateData },
): Promise<GateResult> {
  const { champion } = await deps.registry.history(model.name);
  const load = async (address: string) => parseArtefact(await deps.artefacts.get(address), address);
  const artefact = await load(candidate);
  const learnt = artefact.manifest.dataset;
  if (learnt !== null && learnt.to > data.set.from && learnt.from < data.set.to)
    throw new RolloutRefused(
      `The candidate learnt from requests up to ${iso(learnt.to)}, and the gate's rows begin at ${iso(data.set.from)}: it would be judged on what it knows. Train it on earlier ones.`,
    );
  const comparable = champion !== null && champion.layout === model.layoutHash ? champion : null;
  const before = comparable === null ? null : await load(comparable.artefact);
  const known = before?.manifest.dataset?.to ?? Number.NEGATIVE_INFINITY;
  const { set, slices } = rowsFrom(data, known, model.features.length);
  const scores = (scorer: Scorer) => {
    const out = new Float64Array(set.labels.length);
    scorer.scoreBatch(set.rows, set.labels.length, out);
    return out;
  };
  const verdict = judgeOffline(
    {
      labels: set.labels,
      times: set.times,
      candidate: scores(createScorer(artefact, model.layoutHash)),
      champion: before === null ? null : scores(createScorer(before, model.layoutHash)),
      ...(slices === undefined ? {} : { slices }),
    },
    { ...model.rollout.gate, seed: model.sample.seed },
  );
  const left = data.set.labels.length - set.labels.length;
  const knows =
    left === 0
      ? ''
      : ` (${left} rows before ${iso(known)} were left out: version ${comparable?.version} learnt from that time)`;
  return {
    pass: verdict.pass,
    sentence: `${verdict.sentence}${knows}`,
    verdict,
    champion: comparable?.version ?? null,
    evidence: {
      test: 'gate',
      champion: comparable?.version ?? null,
      dataset: { hash: set.hash, from: set.from, to: set.to, rows: set.labels.length },
      ...verdict,
      slices: verdict.slices.slice(0, 5),
    },
  };
}

/** What a champion learnt from says nothing of it: only rows from `time` on. Rows are in the order of time. */
function rowsFrom({ set, slices }: GateData, time: number, width: number): GateData {
  const { rows, labels, times } = set;
  const cut = times.findIndex((one) => one >= time);
  const first = cut < 0 ? times.length : cut;
  if (first === 0) return { set, ...(slices === undefined ? {} : { slices }) };
  const rest = {
    ...set,
    from: time,
    rows: rows.subarray(first * width),
    labels: labels.subarray(first),
    times: times.subarray(first),
  };
  if (slices === undefined) return { set: rest };
  const cutSlices = Object.entries(slices).map(([name, of]) => [name, of.slice(first)]);
  return { set: rest, slices: Object.fromEntries(cutSlices) };
}
