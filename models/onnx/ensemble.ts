import type { Forest } from '../trees/forest.ts';
import type { OnnxNode } from './graph.ts';
import { OnnxError } from './protobuf.ts';

/** What a tree ensemble gives a row: the sum of its leaves, as it is or through the logistic function. */
export interface Ensemble {
  readonly forest: Forest;
  readonly logistic: boolean;
}

const MOST_NODES = 4_000_000;

interface Nodes {
  readonly tree: readonly number[];
  readonly id: readonly number[];
  readonly feature: readonly number[];
  readonly value: readonly number[];
  readonly mode: readonly string[];
  readonly yes: readonly number[];
  readonly no: readonly number[];
  readonly nullYes: readonly number[];
}

/**
 * TreeEnsembleClassifier of two classes, or TreeEnsembleRegressor of one target (ai.onnx.ml 1 to 4), as trees of our own
 * kind. Comparisons stay what they were on single precision: a < b is a <= the number before b.
 *
 * @throws OnnxError naming what is not supported, or what does not fit together.
 */
export function ensembleOf(node: OnnxNode, features: number): Ensemble {
  const name = node.operator;
  for (const attribute of node.attributes.keys())
    if (attribute.endsWith('_as_tensor'))
      throw new OnnxError(`The ${name} holds doubles (${attribute}); only single precision is supported.`);
  const integers = (key: string) => node.attributes.get(key)?.integers ?? [];
  const floats = (key: string) => node.attributes.get(key)?.floats ?? [];
  const nodes: Nodes = {
    tree: integers('nodes_treeids'),
    id: integers('nodes_nodeids'),
    feature: integers('nodes_featureids'),
    value: floats('nodes_values'),
    mode: node.attributes.get('nodes_modes')?.texts ?? [],
    yes: integers('nodes_truenodeids'),
    no: integers('nodes_falsenodeids'),
    nullYes: integers('nodes_missing_value_tracks_true'),
  };
  const count = nodes.tree.length;
  if (count === 0) throw new OnnxError(`The ${name} has no nodes.`);
  if (count > MOST_NODES)
    throw new OnnxError(`The ${name} has ${count} nodes; at most ${MOST_NODES} are read.`);
  const { nullYes, ...lists } = nodes;
  for (const [key, list] of Object.entries(lists))
    if (list.length !== count)
      throw new OnnxError(
        `The ${name} has ${count} nodes, but ${list.length} entries in its list of "${key}".`,
      );
  if (nullYes.length !== 0 && nullYes.length !== count)
    throw new OnnxError(`The ${name} says for ${nullYes.length} of ${count} nodes where nulls go.`);
  const aggregate = node.attributes.get('aggregate_function')?.text ?? 'SUM';
  if (aggregate !== 'SUM')
    throw new OnnxError(`The ${name} aggregates by ${aggregate}; only SUM is supported.`);
  const after = node.attributes.get('post_transform')?.text ?? 'NONE';
  if (after !== 'NONE' && after !== 'LOGISTIC')
    throw new OnnxError(`The ${name} has the post_transform ${after}; NONE and LOGISTIC are supported.`);

  const weights = name === 'TreeEnsembleClassifier' ? classWeights(node) : targetWeights(node);
  const bases = floats('base_values');
  const bias = bases[name === 'TreeEnsembleClassifier' ? Math.min(weights.base, bases.length - 1) : 0] ?? 0;
  return { forest: forestOf(name, nodes, weights.of, bias, features), logistic: after === 'LOGISTIC' };
}

interface Weights {
  /** What a leaf adds, by tree and node. */
  readonly of: ReadonlyMap<string, number>;
  /** Which of the base values is the positive class's. */
  readonly base: number;
}

function weightsOf(node: OnnxNode, group: 'class' | 'target', wanted: number): Map<string, number> {
  const list = (key: string) => node.attributes.get(`${group}_${key}`)?.integers ?? [];
  const [ids, nodeIds, treeIds] = [list('ids'), list('nodeids'), list('treeids')];
  const values = node.attributes.get(`${group}_weights`)?.floats ?? [];
  if ([nodeIds, treeIds, values].some(({ length }) => length !== ids.length))
    throw new OnnxError(`The ${node.operator} has ${ids.length} leaf entries, but ${values.length} weights.`);
  const weights = new Map<string, number>();
  ids.forEach((id, at) => {
    if (id !== wanted) return;
    const key = `${treeIds[at]}:${nodeIds[at]}`;
    weights.set(key, Math.fround((weights.get(key) ?? 0) + (values[at] ?? 0)));
  });
  return weights;
}

/** Of two classes either each leaf votes for both, or all leaves name one class and mean the second: as onnxruntime. */
function classWeights(node: OnnxNode): Weights {
  const labels = node.attributes.get('classlabels_int64s')?.integers ?? [];
  const texts = node.attributes.get('classlabels_strings')?.texts ?? [];
  const classes = labels.length + texts.length;
  if (classes !== 2)
    throw new OnnxError(`The ${node.operator} tells ${classes} classes apart; a model here tells two.`);
  const named = new Set(node.attributes.get('class_ids')?.integers ?? []);
  const [only] = named;
  if (named.size === 1 && only !== undefined) return { of: weightsOf(node, 'class', only), base: only };
  if (node.attributes.get('post_transform')?.text === 'LOGISTIC')
    throw new OnnxError(
      `The leaves of the ${node.operator} vote for both classes through LOGISTIC, which is not supported.`,
    );
  return { of: weightsOf(node, 'class', 1), base: 1 };
}

function targetWeights(node: OnnxNode): Weights {
  const targets = node.attributes.get('n_targets')?.integer ?? 1;
  if (targets !== 1) throw new OnnxError(`The ${node.operator} has ${targets} targets; one is supported.`);
  return { of: weightsOf(node, 'target', 0), base: 0 };
}

/** The number of single precision just below this one. */
export function justBelow(value: number): number {
  const view = new DataView(new ArrayBuffer(4));
  view.setFloat32(0, value);
  const bits = view.getInt32(0);
  if (Number.isNaN(value) || value === Number.NEGATIVE_INFINITY) return value;
  if (value === 0) return -(2 ** -149);
  view.setInt32(0, value > 0 ? bits - 1 : bits + 1);
  return view.getFloat32(0);
}

function forestOf(
  name: string,
  nodes: Nodes,
  weights: ReadonlyMap<string, number>,
  bias: number,
  features: number,
): Forest {
  const places = new Map<string, number>();
  const roots = new Map<number, number>();
  nodes.tree.forEach((tree, at) => {
    const key = `${tree}:${nodes.id[at]}`;
    if (places.has(key)) throw new OnnxError(`The ${name} names node ${nodes.id[at]} of tree ${tree} twice.`);
    places.set(key, at);
    if (!roots.has(tree)) roots.set(tree, at);
  });
  const seen = new Uint8Array(nodes.tree.length);
  const out = {
    roots: [] as number[],
    feature: [] as number[],
    threshold: [] as number[],
    left: [] as number[],
    right: [] as number[],
    nullLeft: [] as number[],
    leaves: [] as number[],
  };
  for (const [tree, root] of roots) {
    // A stack of our own: a hostile tree may be as deep as it is large.
    const open: { readonly at: number; readonly set: (child: number) => void }[] = [
      { at: root, set: (child) => out.roots.push(child) },
    ];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      const { at, set } = next;
      if (seen[at] === 1)
        throw new OnnxError(
          `Node ${nodes.id[at]} of tree ${tree} of the ${name} is reached twice: this is no tree.`,
        );
      seen[at] = 1;
      const mode = nodes.mode[at] as string;
      if (mode === 'LEAF') {
        set(~(out.leaves.push(weights.get(`${tree}:${nodes.id[at]}`) ?? 0) - 1));
        continue;
      }
      const feature = nodes.feature[at] as number;
      if (feature < 0 || feature >= features)
        throw new OnnxError(`The ${name} asks for feature ${feature}, but the model has ${features}.`);
      const yes = places.get(`${tree}:${nodes.yes[at]}`);
      const no = places.get(`${tree}:${nodes.no[at]}`);
      if (yes === undefined || no === undefined)
        throw new OnnxError(
          `Node ${nodes.id[at]} of tree ${tree} of the ${name} goes on at a node that is not there.`,
        );
      const question = QUESTIONS.get(mode);
      if (question === undefined)
        throw new OnnxError(
          `The ${name} compares by ${mode}; ${[...QUESTIONS.keys()].join(', ')} are supported (categories must be encoded as numbers).`,
        );
      const bound = nodes.value[at] as number;
      const node = out.feature.push(feature) - 1;
      out.threshold.push(question.strict ? justBelow(bound) : bound);
      out.left.push(0);
      out.right.push(0);
      const nullYes = nodes.nullYes[at] === 1;
      out.nullLeft.push((question.yesIsLeft ? nullYes : !nullYes) ? 1 : 0);
      const [left, right] = question.yesIsLeft ? [yes, no] : [no, yes];
      open.push({
        at: right,
        set: (child) => {
          out.right[node] = child;
        },
      });
      open.push({
        at: left,
        set: (child) => {
          out.left[node] = child;
        },
      });
      set(node);
    }
  }
  return {
    features,
    precision: 'single',
    bias,
    roots: Int32Array.from(out.roots),
    feature: Int32Array.from(out.feature),
    threshold: Float64Array.from(out.threshold),
    left: Int32Array.from(out.left),
    right: Int32Array.from(out.right),
    nullLeft: Uint8Array.from(out.nullLeft),
    leaves: Float64Array.from(out.leaves),
  };
}

/** As "at most goes left": x > b is the other side of x <= b, and x < b is x <= the number before b. */
const QUESTIONS: ReadonlyMap<string, { readonly strict: boolean; readonly yesIsLeft: boolean }> = new Map([
  ['BRANCH_LEQ', { strict: false, yesIsLeft: true }],
  ['BRANCH_LT', { strict: true, yesIsLeft: true }],
  ['BRANCH_GT', { strict: false, yesIsLeft: false }],
  ['BRANCH_GTE', { strict: true, yesIsLeft: false }],
]);
