import { describe, expect, it } from 'vitest';
import { ConfigError } from '../../config/load.ts';
import { edited, FILES, lines, load, problems } from './project.ts';

/** Each class of mistake, with the exact sentence that a person reads. */

const P = 'project.yaml';
const V = 'views/customer.yaml';
const M = 'models/returns.yaml';

const CASES: ReadonlyArray<
  readonly [what: string, files: Readonly<Record<string, string>>, said: readonly string[]]
> = [
  ['nothing wrong', {}, []],
  [
    'a file that is not YAML',
    { [P]: 'name: [a' },
    [
      'project.yaml:1:9: This is not YAML: Flow sequence in block collection must be sufficiently indented and end with a ]. Correct the line.',
    ],
  ],
  [
    'a key that stands twice',
    edited(V, 'resolution: 1m', 'resolution: 1m\nresolution: 1m'),
    ['views/customer.yaml:4:1: This is not YAML: Map keys must be unique. Remove one of the two.'],
  ],
  [
    'an unknown key that stands for a missing one',
    edited(V, 'resolution:', 'resolutoin:'),
    ["views/customer.yaml:3:1: Unknown key 'resolutoin'. Did you mean 'resolution'?"],
  ],
  [
    'a missing key',
    edited(V, 'entity: [customer]\n', ''),
    ["views/customer.yaml:1:1: The key 'entity' is missing. Add 'entity:' with a list."],
  ],
  [
    'a text where a list belongs',
    edited(V, 'entity: [customer]', 'entity: customer'),
    ["views/customer.yaml:2:9: 'entity' is 'customer', which is not a list. Write a list: [customer]."],
  ],
  [
    'an unknown aggregation',
    edited(V, 'aggregation: count', 'aggregation: cuont'),
    ["views/customer.yaml:5:33: 'cuont' is not known here. Did you mean 'count'?"],
  ],
  [
    'an unknown aggregation in a list',
    edited(V, '[sum, mean]', '[sum, maen]'),
    ["views/customer.yaml:6:38: 'maen' is not known here. Did you mean 'mean'?"],
  ],
  [
    'a duration that is none',
    edited(V, 'windows: [1h, 1d]', 'windows: [1h, 1 day]'),
    ["views/customer.yaml:5:75: '1 day' is not a duration. Write it as 90s, 5m, 6h, 7d or 13h15m."],
  ],
  [
    'a duration below zero',
    edited(P, 'out_of_orderness: 1m', 'out_of_orderness: -1m'),
    ["project.yaml:6:23: '-1m' is not a duration. Write it as 90s, 5m, 6h, 7d or 13h15m."],
  ],
  [
    'a resolution off the ladder',
    edited(V, 'resolution: 1m', 'resolution: 2m'),
    ["views/customer.yaml:3:13: '2m' is not known here. Choose one of '1s', '10s', '1m', '5m', '1h'."],
  ],
  [
    'a name with a capital',
    edited(V, 'view: customer', 'view: Customer'),
    [
      "views/customer.yaml:1:7: 'Customer' is not a name. Use small letters, digits and _, starting with a letter.",
    ],
  ],
  [
    'an unknown field type',
    edited(P, 'amount: double', 'amount: float'),
    ["project.yaml:10:15: 'float' is not known here. Did you mean 'double'?"],
  ],
  [
    'a key field that is not there',
    edited(P, 'key: order_id', 'key: orderid'),
    ["project.yaml:4:10: The source 'orders' has no field 'orderid'. Did you mean 'order_id'?"],
  ],
  [
    'a required field that is not there',
    edited(P, 'required: [order_id, customer]', 'required: [order_id, custmer]'),
    ["project.yaml:18:43: The source 'orders' has no field 'custmer'. Did you mean 'customer'?"],
  ],
  [
    'an entity field that is not there',
    edited(V, 'entity: [customer]', 'entity: [custmer]'),
    ["views/customer.yaml:2:10: The source 'orders' has no field 'custmer'. Did you mean 'customer'?"],
  ],
  [
    'a double as a key',
    edited(V, 'entity: [customer]', 'entity: [amount]'),
    ["views/customer.yaml:2:10: The field 'amount' is a double, which makes no key. Use a string or an int."],
  ],
  [
    'an unknown event',
    edited(V, 'event: order.placed, windows', 'event: order.paced, windows'),
    ["views/customer.yaml:5:47: There is no event 'order.paced'. Did you mean 'order.placed'?"],
  ],
  [
    'an unknown source',
    edited(V, 'resolution:', 'source: order\nresolution:'),
    ["views/customer.yaml:3:9: There is no source 'order'. Did you mean 'orders'?"],
  ],
  [
    'an unknown view',
    edited(M, '  customer:\n', '  customer: {view: custommer}\n'),
    ["models/returns.yaml:4:20: There is no view 'custommer'. Did you mean 'customer'?"],
  ],
  [
    'a read named like no view',
    edited(M, '  customer:\n', '  custoner:\n'),
    ["models/returns.yaml:4:3: There is no view 'custoner'. Did you mean 'customer'?"],
  ],
  [
    'an unknown stored feature',
    edited(M, 'customer.*', 'customer.orders_2h'),
    [
      "models/returns.yaml:6:5: No stored feature is called 'customer.orders_2h'. Did you mean 'customer.orders_1h'?",
    ],
  ],
  [
    'a pattern that matches nothing',
    edited(M, 'customer.*', 'cust.*'),
    ["models/returns.yaml:6:5: No stored feature is called 'cust.*'. The reads are 'customer'."],
  ],
  [
    'an unknown request',
    edited(M, 'request: order.placed', 'request: order.place'),
    ["models/returns.yaml:2:10: There is no event 'order.place'. Did you mean 'order.placed'?"],
  ],
  [
    'an unknown label event',
    edited(M, 'event: order.returned', 'event: order.return'),
    ["models/returns.yaml:9:16: There is no event 'order.return'. Did you mean 'order.returned'?"],
  ],
  [
    'a join on fields of two types',
    edited(M, 'join: [order_id]', 'join: {items: amount}'),
    [
      "models/returns.yaml:9:46: 'items' of the event 'order.returned' is int, but 'amount' of the request 'order.placed' is double. Join by fields of one type.",
    ],
  ],
  [
    'a join on a field that neither side has',
    edited(M, 'join: [order_id]', 'join: [orderid]'),
    [
      "models/returns.yaml:9:39: The event 'order.returned' has no field 'orderid'. Did you mean 'order_id'?",
      "models/returns.yaml:9:39: The request 'order.placed' has no field 'orderid'. Did you mean 'order_id'?",
    ],
  ],
  [
    'an expression cut short',
    edited(P, 'check: amount > 0', 'check: amount >'),
    ['project.yaml:16:41: The expression `amount >` cannot be read: it ends too early. Correct it here.'],
  ],
  [
    'a text compared with a number',
    edited(P, 'check: amount > 0', 'check: "customer > 0"'),
    [
      'project.yaml:16:34: `>` does not work between a text and a number. Compare and combine values of one type.',
    ],
  ],
  [
    'an unknown name in an expression',
    edited(P, 'check: amount > 0', 'check: 1 < amuont'),
    ["project.yaml:16:37: The expression names 'amuont', which is not known here. Did you mean 'amount'?"],
  ],
  [
    'an unknown function',
    edited(P, 'check: amount > 0', 'check: houur(amount) > 0'),
    ["project.yaml:16:33: There is no function 'houur'. Did you mean 'hour'?"],
  ],
  [
    'a function with wrong arguments',
    edited(P, 'check: amount > 0', 'check: hour(customer) > 0'),
    ["project.yaml:16:33: 'hour' cannot take a text. It is called as hour(number) or hour(number, text)."],
  ],
  [
    'a number where a condition is needed',
    edited(P, 'check: amount > 0', 'check: amount'),
    ['project.yaml:16:33: `amount` is a number, but a condition is needed here. Compare it with something.'],
  ],
  [
    'a condition where a number is needed',
    edited(M, 'amount / items', 'amount > items'),
    [
      'models/returns.yaml:8:15: `amount > items` is a condition, but a number is needed here. Use number(…) to count it as 1 or 0.',
    ],
  ],
  [
    'an expression with an unknown feature',
    edited(M, 'amount / items', 'customer.orders_2h'),
    ["models/returns.yaml:8:15: 'customer' has no feature 'orders_2h'. Did you mean 'orders_1h'?"],
  ],
  [
    'a read used as a number',
    edited(M, 'amount / items', 'customer + 1'),
    [
      'models/returns.yaml:8:15: `+` does not work between a group of features and a number. Compare and combine values of one type.',
    ],
  ],
  [
    'a method that has no place',
    edited(M, 'check: amount > 0', 'check: "customer.split(zone) == [zone]"'),
    [
      "models/returns.yaml:9:58: The method 'split' cannot be used here. The reference lists all methods of a text.",
    ],
  ],
  [
    'a list of fields',
    edited(M, 'check: amount > 0', 'check: "customer in [zone]"'),
    [
      'models/returns.yaml:9:71: A list after `in` holds plain texts and numbers only. Use `==` and `||` instead.',
    ],
  ],
  [
    'an error on the second line of an expression',
    edited(M, 'amount / items', '|\n      amount +\n      amuont'),
    [
      "models/returns.yaml:10:7: The expression names 'amuont', which is not known here. Did you mean 'amount'?",
    ],
  ],
  [
    'on-demand features in a circle',
    edited(M, 'per_item: amount / items', 'a: b + 1\n  - b: c * 2\n  - c: a'),
    [
      'models/returns.yaml:8:8: These features use each other in a circle: a -> b -> c -> a. Write one of them without the others.',
    ],
  ],
  [
    'a feature twice in the vector',
    edited(M, 'per_item: amount / items', 'amount'),
    ["models/returns.yaml:8:5: The vector has two features 'amount'. Remove one."],
  ],
  [
    'an on-demand feature named like a field',
    edited(M, 'per_item: amount / items', 'items: amount * 2'),
    ["models/returns.yaml:8:5: 'items' is a field of the request. Give the feature another name."],
  ],
  [
    'two features of one name',
    edited(V, 'name: spent, aggregation: [sum, mean]', 'name: orders, aggregation: sum'),
    ["views/customer.yaml:6:5: The view 'customer' has two features 'orders_1d'. Give one another name."],
  ],
  [
    'two views of one name',
    { 'views/other.yaml': FILES[V] ?? '' },
    [
      "views/other.yaml:1:7: There are two views 'customer'; the other is in views/customer.yaml. Give one another name, or remove it.",
    ],
  ],
  [
    'a window off the resolution',
    edited(V, 'windows: [1d]', 'windows: [90s]'),
    ['views/customer.yaml:6:119: The window 90s is not a multiple of the resolution, 1m. Write 2m.'],
  ],
  [
    'a window too long',
    edited(V, 'windows: [1d]', 'windows: [101d]'),
    ['views/customer.yaml:6:119: The window 101d is longer than 100d. Write at most 100d.'],
  ],
  [
    'a window too short for a sketch',
    edited(
      V,
      'aggregation: [sum, mean], event: order.placed, of: amount, scale: 100, range: [0, 10000], windows: [1d]',
      'aggregation: distinct, of: zone, windows: [20m]',
    ),
    [
      "views/customer.yaml:6:62: The window 20m has fewer than six steps of 5m, the 'sketch_resolution'. Write 'sketch_resolution: 1m' in the view, or a window of 30m or more.",
    ],
  ],
  [
    'too little slack',
    edited(V, 'resolution: 1m', 'resolution: 1m\nslack: 3m'),
    [
      "views/customer.yaml:4:8: 'slack' is 3m, less than 4 times 'out_of_orderness' (1m). Write 'slack: 4m' or more.",
    ],
  ],
  [
    'too short a read delay',
    edited(V, 'resolution: 1m', 'resolution: 1m\nread_delay: 30s'),
    [
      "views/customer.yaml:4:13: 'read_delay' is 30s, less than the largest 'out_of_orderness' of the sources, 1m. Write at least 1m, or leave it out.",
    ],
  ],
  [
    'a sum without a range',
    edited(V, 'range: [0, 10000], ', ''),
    [
      "views/customer.yaml:6:5: 'sum' adds values up and needs 'range'. Add 'range: [smallest, largest]'; what lies outside is clipped.",
    ],
  ],
  [
    'a sum without a scale',
    edited(V, 'scale: 100, ', ''),
    [
      "views/customer.yaml:6:5: 'sum' needs 'scale'. Add 'scale: 1' for whole numbers, 'scale: 100' to keep two decimals.",
    ],
  ],
  [
    'a sum that would not stay exact',
    edited(V, 'range: [0, 10000]', 'range: [0, 100000000]'),
    [
      "views/customer.yaml:6:97: 'sum' of values up to 10,000,000,000 (range times scale) would not stay exact: at most 900,719,925 fits. Narrow the range, or lower the scale of 'spent'.",
    ],
  ],
  [
    'squares that would not stay exact',
    edited(
      V,
      '[sum, mean], event: order.placed, of: amount, scale: 100, range: [0, 10000]',
      'stddev, event: order.placed, of: amount, scale: 100, range: [0, 10000000]',
    ),
    [
      "views/customer.yaml:6:92: 'stddev' of values up to 1,000,000,000 (range times scale) would not stay exact: at most 245,858,274 fits. Narrow the range, or lower the scale of 'spent'.",
    ],
  ],
  [
    'a range the wrong way round',
    edited(V, 'range: [0, 10000]', 'range: [10000, 0]'),
    ['views/customer.yaml:6:97: The range goes from 10000 to 0. Write the smaller value first.'],
  ],
  [
    'a sum of nothing',
    edited(V, 'of: amount, ', ''),
    ["views/customer.yaml:6:5: 'sum' needs 'of'. Add 'of:' with the value of an event."],
  ],
  [
    'a count of something',
    edited(V, 'aggregation: count,', 'aggregation: count, of: amount,'),
    ["views/customer.yaml:5:44: 'count' counts events and takes no 'of'. Use 'where' to count some of them."],
  ],
  [
    'aggregations that read different things',
    edited(V, '[sum, mean]', '[sum, share]'),
    ["views/customer.yaml:6:32: 'sum' and 'share' read different things. Declare them as two features."],
  ],
  [
    'a feature without windows',
    edited(V, ', windows: [1d]', ''),
    [
      "views/customer.yaml:6:5: The feature 'spent' has no windows. Add 'windows: [1h, 1d]', or 'times' and 'stretches' for a periodic feature.",
    ],
  ],
  [
    'stretches that do not fit',
    edited(
      V,
      'windows: [1d]',
      'every: 1d, times: 7, stretches: {near: [-10m, 10m], odd: [-30s, 1m], back: [5m, -5m], open: [0m, 24h]}',
    ),
    [
      "views/customer.yaml:6:166: The stretch 'odd' does not fit the resolution, 1m. Write multiples of it.",
      "views/customer.yaml:6:184: The stretch 'back' ends before it starts. Write the earlier time first.",
      "views/customer.yaml:6:201: The stretch 'open' of the newest period is not known yet when a request comes, so it would always be null. End it at 23h59m or before.",
    ],
  ],
  [
    'a period that is not whole days',
    edited(V, 'windows: [1d]', 'every: 5h, times: 7, stretches: {near: [-10m, 10m]}'),
    ["views/customer.yaml:6:116: 'every' is 5h, which is not whole days. Write '1d' or '7d'."],
  ],
  [
    'a decayed sum over periods',
    edited(
      V,
      '[sum, mean], event: order.placed, of: amount, scale: 100, range: [0, 10000], windows: [1d]',
      'decayed_sum, half_life: 1h, of: amount, scale: 100, range: [0, 10000], every: 1d, times: 7, stretches: {near: [-10m, 10m]}',
    ),
    ["views/customer.yaml:6:32: 'decayed_sum' cannot be periodic. Use it with windows."],
  ],
  [
    'too many tiles',
    edited(V, 'windows: [1d]', 'times: 60, stretches: {near: [-10m, 10m]}'),
    [
      "views/customer.yaml:1:1: An entity of the view 'customer' could have 86,671 tiles; at most 50,000 are allowed. Choose a coarser resolution, less slack, or shorter periodic stretches.",
    ],
  ],
  [
    'secrets written out, and one that is not set',
    {
      'connections.yaml': `kafka: {brokers: "a:1", sasl: {mechanism: plain, username: u, password: hunter2}}\nredis: {url: "redis://u:pw@h:1"}\nregistry: {url: "\${env:NOPE}"}\nclickhouse: {url: "http://x"}\n`,
    },
    [
      `connections.yaml:1:73: The secret 'password' is written out in the file. Put it into the environment and write '\${env:KAFKA_PASSWORD}'.`,
      `connections.yaml:2:15: The 'url' holds a password that is written out. Put the whole URL into the environment and write '\${env:NAME}'.`,
      `connections.yaml:3:18: The environment variable NOPE is not set. Set it, or write a default: \${env:NOPE:-…}.`,
    ],
  ],
  [
    'secrets written out where an address has no place for them',
    {
      'connections.yaml':
        'kafka: {brokers: ["user:hunter2@h:1"]}\nredis: {url: "redis://:pa/hunter2@h:1"}\nclickhouse: {url: "http://h:1/?user=u&password=hunter2"}\n',
    },
    [
      `connections.yaml:1:20: A broker of Kafka is 'host:port', without a user or a password. Write them under 'sasl': mechanism, username, password.`,
      `connections.yaml:2:15: The 'url' holds a password that is written out. Put the whole URL into the environment and write '\${env:NAME}'.`,
      `connections.yaml:3:20: The 'url' holds a password that is written out. Put the whole URL into the environment and write '\${env:NAME}'.`,
    ],
  ],
  [
    'settings of Redis that are none, or hold a secret',
    {
      'connections.yaml':
        'redis:\n  url: redis://r:1\n  password: hunter2\n  sentinel: {name: main}\n  tls: {server: x, key: abc}\n',
    },
    [
      `connections.yaml:3:13: The secret 'password' is written out in the file. Put it into the environment and write '\${env:REDIS_PASSWORD}'.`,
      "connections.yaml:4:13: The key 'primary' is missing. Add 'primary:' with a text.",
      "connections.yaml:4:14: Unknown key 'name'. Choose one of 'primary', 'username', 'password'.",
      "connections.yaml:5:9: Unknown key 'server'. Choose one of 'ca', 'cert', 'key', 'servername'.",
      `connections.yaml:5:25: The private key is written out in the file. Write '\${file:PATH}' or '\${env:NAME}'.`,
    ],
  ],
  [
    'a file that is no part of a project',
    { 'conections.yaml': 'a: 1' },
    ["conections.yaml:1:1: A project has no file 'conections.yaml'. Did you mean 'connections.yaml'?"],
  ],
  [
    'files of other tools beside the project',
    {
      'pnpm-lock.yaml': 'lockfileVersion: 9',
      'docker-compose.yml': 'services: {}',
      '.prettierrc.yaml': 'a: [',
    },
    [],
  ],
  [
    'a declaration that lies in no folder',
    { 'fraud.yaml': 'model: fraud' },
    [
      "fraud.yaml:1:1: A project has no file 'fraud.yaml'. Choose one of 'project.yaml', 'alerts.yaml', 'pipelines.yaml', 'connections.yaml', 'sources/*.yaml', 'views/*.yaml', 'features/*.yaml', 'models/*.yaml'.",
    ],
  ],
  [
    'a file with the wrong ending',
    { 'views/a.yml': 'a: 1' },
    ["views/a.yml:1:1: 'a.yml' does not end in .yaml. Rename it."],
  ],
  [
    'an unknown key of a connection',
    {
      'connections.yaml':
        'kafka: {broker: "a:1"}\nredis: {url: x}\nregistry: {url: x}\nclickhouse: {url: x}\n',
    },
    ["connections.yaml:1:9: Unknown key 'broker'. Did you mean 'brokers'?"],
  ],
  [
    'an unknown key of a mapping',
    edited(
      P,
      'key: order_id',
      'key: order_id\n    format: {json: {id: id, type: {constnt: order.placed}, time: {path: t, unit: iso}, fields: {ammount: a.b}}}',
    ),
    ["project.yaml:5:36: Unknown key 'constnt'. Did you mean 'constant'?"],
  ],
  [
    'a path into a list',
    edited(
      P,
      'key: order_id',
      'key: order_id\n    format: {json: {id: id, type: {constant: order.placed}, time: {path: t, unit: iso}, fields: {amount: "legs[0].amount"}}}',
    ),
    [
      "project.yaml:5:107: 'legs[0].amount' reads an element of a list, which a path cannot. Name a field outside of lists, such as card.token, or let the producer send the element as a field.",
    ],
  ],
  [
    'a JSONPath',
    edited(
      P,
      'key: order_id',
      'key: order_id\n    format: {json: {id: id, type: {constant: order.placed}, time: {path: t, unit: iso}, fields: {amount: $.amount}}}',
    ),
    ["project.yaml:5:106: '$.amount' is not a path. Write it as card.token."],
  ],
  [
    'a value that another path takes for a block',
    edited(
      P,
      'key: order_id',
      'key: order_id\n    format: {json: {id: id, type: {constant: order.placed}, time: {path: t, unit: iso}, fields: {amount: a, items: a.b}}}',
    ),
    [
      "project.yaml:5:106: 'a' is read as a value, and 'a.b' says that it is a block. Correct one of the two paths.",
    ],
  ],
  [
    'a format without its block',
    edited(P, 'key: order_id', 'key: order_id\n    format: json'),
    [
      "project.yaml:5:13: 'json' needs a block that says how. Write it as 'format: {json: {...}}'; the reference lists its keys.",
    ],
  ],
  [
    'a duration without its unit',
    edited(P, 'out_of_orderness: 1m', 'out_of_orderness: 60'),
    [
      "project.yaml:6:23: 'out_of_orderness' is '60', which is not a duration. Write it with its unit: 60s, 60m, 60h or 60d.",
    ],
  ],
  [
    'an unknown format',
    edited(P, 'key: order_id', 'key: order_id\n    format: jsno'),
    ["project.yaml:5:13: 'jsno' is not known here. Did you mean 'json'?"],
  ],
  [
    'a training range the wrong way round',
    edited(M, 'label:', 'training: {from: 2001-02-01, to: 2001-01-01}\nlabel:'),
    ['models/returns.yaml:9:11: The training range ends before it starts. Write the earlier time first.'],
  ],
  [
    'a time without a zone',
    edited(M, 'label:', 'training: {from: "2001-02-01T00:00"}\nlabel:'),
    [
      "models/returns.yaml:9:19: '2001-02-01T00:00' is not a time with a zone. Write it as 2001-03-23 or 2001-03-23T12:00Z, or leave it out for all there is.",
    ],
  ],
  [
    'an unknown trainer',
    edited(M, 'label:', 'trainer: {name: dens}\nlabel:'),
    ["models/returns.yaml:9:17: 'dens' is not known here. Did you mean 'dense'?"],
  ],
  [
    'an unknown trainer parameter',
    edited(M, 'label:', 'trainer: {name: dense, layers: [a]}\nlabel:'),
    [
      "models/returns.yaml:9:24: Unknown key 'layers'. Choose one of 'name', 'hidden', 'learning_rate', 'batch_size', 'epochs', 'rounds', 'leaves', 'depth', 'min_weight', 'row_share', 'feature_share', 'bins', 'l2', 'patience' and 5 more.",
    ],
  ],
  [
    "another trainer's parameter",
    edited(M, 'label:', 'trainer: {name: trees, hidden: [8], leafs: 31}\nlabel:'),
    ["models/returns.yaml:9:37: Unknown key 'leafs'. Did you mean 'leaves'?"],
  ],
  [
    "only another trainer's parameter",
    edited(M, 'label:', 'trainer: {name: trees, learning_rate: 0.1, epochs: 3}\nlabel:'),
    [
      "models/returns.yaml:9:44: 'epochs' is no parameter of the trainer 'trees'. Choose one of 'rounds', 'learning_rate', 'leaves', 'depth', 'min_weight', 'row_share', 'feature_share', 'bins', 'l2', 'patience', 'seed', 'validation_share', 'calibration'.",
    ],
  ],
  [
    'a key of the wrong length',
    edited(M, '  customer:\n', '  customer: {key: [customer, zone]}\n'),
    [
      "models/returns.yaml:4:19: The key has 2 fields, but the entity of 'customer' has 1. Name one field for each of customer.",
    ],
  ],
  [
    'two rules of one name',
    edited(P, '    rules:\n', '    rules:\n      - {name: positive, check: amount > 1, message: x}\n'),
    ["project.yaml:17:16: Two rules have the name 'positive'. Give one another name."],
  ],
  [
    'a field that every event has',
    edited(P, 'order_id: string', 'order_id: string\n      time: int'),
    ["project.yaml:9:7: Every event has 'time' already. Remove the field, or give it another name."],
  ],
  [
    'a second time that is none',
    edited(V, 'resolution: 1m', 'resolution: 1m\nat: {field: amount, max_delay: 0s}'),
    [
      "views/customer.yaml:4:13: The field 'amount' is a double, not a timestamp. Name a timestamp field.",
      "views/customer.yaml:4:32: 'max_delay' is not above zero. Write the longest time by which an event may come later than this field.",
    ],
  ],
  [
    'a trainer parameter out of range',
    edited(M, 'label:', 'trainer: {name: dense, hidden: [0], cycle: {amuont: 24}}\nlabel:'),
    ["models/returns.yaml:9:33: An entry of 'hidden' is '0', which is too small. Choose at least 1."],
  ],
  [
    'a cycle of an unknown feature',
    edited(M, 'label:', 'trainer: {name: dense, cycle: {amuont: 24}}\nlabel:'),
    ["models/returns.yaml:9:32: 'amuont' is no feature of the model 'returns'. Did you mean 'amount'?"],
  ],
  [
    'a path that is none',
    edited(
      P,
      'key: order_id',
      'key: order_id\n    format: {json: {id: a..b, type: {constant: order.placed}, time: {path: t, unit: iso}, fields: {ammount: a.b}}}',
    ),
    ["project.yaml:5:25: 'a..b' is not a path. Write it as card.token."],
  ],
  [
    'a private key written out and a file that is not there',
    {
      'connections.yaml': `kafka: {brokers: "a:1", tls: {key: abc, ca: "\${file:none.pem}"}}\nredis: {url: x}\nregistry: {url: x}\nclickhouse: {url: x}\n`,
    },
    [
      `connections.yaml:1:36: The private key is written out in the file. Write '\${file:PATH}' or '\${env:NAME}'.`,
      "connections.yaml:1:46: The file 'none.pem' cannot be read. Give the path of a file that this process may read: absolute, or from the directory of the project.",
    ],
  ],
  [
    'an unknown second time',
    edited(V, 'resolution: 1m', 'resolution: 1m\nat: {field: placedat, max_delay: 1h}'),
    ["views/customer.yaml:4:13: The source 'orders' has no field 'placedat'. Did you mean 'placed_at'?"],
  ],
  [
    'an unknown zone field',
    edited(M, '  customer:\n', '  customer: {zone: zon}\n'),
    ["models/returns.yaml:4:20: The request 'order.placed' has no text field 'zon'. Did you mean 'zone'?"],
  ],
  [
    'an unknown key field',
    edited(M, '  customer:\n', '  customer: {key: [custmer]}\n'),
    ["models/returns.yaml:4:20: The request 'order.placed' has no field 'custmer'. Did you mean 'customer'?"],
  ],
  [
    'a decayed mean without a half-life',
    edited(V, '[sum, mean], event: order.placed', 'decayed_mean, event: order.placed'),
    ["views/customer.yaml:6:5: 'decayed_mean' needs 'half_life'. Add 'half_life: 1h'."],
  ],
  [
    'a quantile without quantiles',
    edited(V, '[sum, mean], event: order.placed', 'quantile, event: order.placed'),
    ["views/customer.yaml:6:5: 'quantile' needs 'quantiles'. Add 'quantiles: [0.5, 0.95]'."],
  ],
  [
    'a sketch resolution off the ladder',
    edited(V, 'resolution: 1m', 'resolution: 1m\nsketch_resolution: 2m'),
    [
      "views/customer.yaml:4:20: 'sketch_resolution' is 2m, which is not a step that fits a resolution of 1m. Choose one of 1m or 5m or 1h.",
    ],
  ],
  [
    'a view that does not say its source',
    {
      'sources/visits.yaml':
        'source: visits\nkey: who\nout_of_orderness: 1m\nfields: {who: string}\nevents: {visit:}\n',
    },
    [
      "views/customer.yaml:1:1: The view 'customer' does not say which source it reads. Add 'source:' with 'orders' or 'visits'.",
    ],
  ],
  [
    'a history of an unknown source',
    edited(P, 'name: shop', 'name: shop\nhistory: {reader: events, source: order}'),
    ["project.yaml:2:35: There is no source 'order'. Did you mean 'orders'?"],
  ],
  [
    'two readers of one source',
    edited(
      P,
      'name: shop',
      'name: shop\nhistory:\n  - {reader: events, source: orders}\n  - {reader: flights, source: orders}',
    ),
    ["project.yaml:4:31: The source 'orders' has two readers of history. Remove one of them."],
  ],
  [
    'a source without events',
    edited(
      P,
      '    events:\n      order.placed: {required: [order_id, customer]}\n      order.returned:\n',
      '    events: {}\n',
    ),
    ["project.yaml:17:13: The source 'orders' has no events. Name at least one type of event."],
  ],
  [
    'ids that must be known for longer than their topic is kept',
    edited(P, 'out_of_orderness: 1m', 'out_of_orderness: 1m\n    deduplicate: {within: 8d}'),
    [
      "project.yaml:7:27: The validated topic of 'orders' is kept for 7d, and ingest reads the ids of 8d back from it when it starts. Write a shorter time, or raise retention.validated in project.yaml.",
    ],
  ],
  [
    'repeats after no time',
    edited(P, 'out_of_orderness: 1m', 'out_of_orderness: 1m\n    deduplicate: {within: 0s}'),
    ['project.yaml:7:27: No time can pass until a repeat. Write `10m`, or leave `deduplicate` out.'],
  ],
  [
    'a silence that is shorter than any',
    edited(P, 'out_of_orderness: 1m', 'out_of_orderness: 1m\n    idle_after: 30s'),
    [
      'project.yaml:7:17: A partition is waited for during 1m anyway. Write a longer time, or leave idle_after out.',
    ],
  ],
  [
    'several problems at once',
    { ...edited(V, 'of: amount', 'of: amuont'), ...edited(M, 'amount / items', 'amount / itmes') },
    [
      "views/customer.yaml:6:70: The expression names 'amuont', which is not known here. Did you mean 'amount'?",
    ],
  ],
  [
    'a project without sources',
    { [P]: 'name: shop\n' },
    [
      "project.yaml:1:1: The project has no sources. Declare one under 'sources:' or in a file 'sources/NAME.yaml'.",
    ],
  ],
];

describe('a mistake is named with its place and its mend', () => {
  it.each(CASES)('%s', (_, files, said) => {
    expect(lines(problems(files))).toEqual(said);
  });
});

describe('options', () => {
  it('refuse a prefix that no topic can carry', () => {
    expect(lines(problems({}, { prefix: 'my run' }))).toEqual([
      "project.yaml:1:1: The prefix 'my run' cannot be part of the name of a topic. Use letters, digits, -, _ and dots.",
    ]);
  });
});

describe('ConfigError', () => {
  it('holds every problem, and says them all', () => {
    try {
      load({
        ...FILES,
        ...edited(V, 'of: amount', 'of: amuont'),
        ...edited(M, 'amount / items', 'amount / itmes'),
      });
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(ConfigError);
      const { problems: found, message, retriable, code } = error as ConfigError;
      expect(retriable).toBe(false);
      expect(code).toBe('bad_configuration');
      expect(message.split('\n')).toHaveLength(found.length + 1);
      for (const line of lines(found)) expect(message).toContain(line);
    }
  });

  it('says where there is no project', () => {
    expect(() => load({})).toThrow(/There is no 'project.yaml' in .*Create it with 'name:'/);
  });

  it('never repeats a secret of the environment', () => {
    const secret = 'correct-horse';
    const files = {
      'connections.yaml': `kafka: {brokers: "a:1", sasl: {mechanism: plan, username: u, password: "\${env:PW}"}}\nredis: {url: "\${env:PW}", x: 1}\n`,
    };
    const found = problems(files, { environment: { PW: secret } });
    expect(found.length).toBeGreaterThan(1);
    expect(JSON.stringify(found)).not.toContain(secret);
  });
});
