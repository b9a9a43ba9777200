import type { FieldChange } from '../core/field-change.ts';
import type { MirrorTable } from '../core/mirror.ts';
import type { TableShape } from '../core/observed.ts';
import { formatTableName, sameTable } from '../core/table-name.ts';
import { unreachable } from '../core/unreachable.ts';
import { isDifference, type Notice, type Plan, type Refusal, type Step } from './plan.ts';

/** `+` made new, `~` changed, `-/+` replaced, `-` taken out, `!` to know, `x` refused. */
export type Symbol = '+' | '~' | '-/+' | '-' | '!' | 'x';

export interface Description {
  readonly symbol: Symbol;
  /** One line, without the symbol. */
  readonly text: string;
}

/** The same in the plan of a mirror that a daemon runs: what it is at is no interruption. */
export function describeStepOf(step: Step, { isRun }: { readonly isRun: boolean }): Description {
  return isRun && step.kind === 'copy-table' && step.isBegun === true
    ? line('-/+', `rows of ${tableRoute(step)}: copied now by a daemon, ${describeSize(step)}`)
    : describeStep(step);
}

/** One line for one step: in a plan, in the log, in a status. */
export function describeStep(step: Step): Description {
  switch (step.kind) {
    case 'migrate-ledger':
      return step.fromVersion === 0
        ? line('+', 'ledger: schema bunnydb at the destination')
        : line('~', `ledger: bring it up from version ${step.fromVersion}`);
    case 'register-mirror':
      return line('+', 'ledger: the mirror');
    case 'accept-spec':
      return line('~', describeChanges(step.changes));
    case 'drop-table':
      return line(
        '-',
        `table ${formatTableName(step.record.destination)} (deletionPolicy is Delete)`,
      );
    case 'forget-mirror':
      return line('-', 'ledger: the mirror');
    case 'create-schema':
      return line('+', `schema ${step.schema}`);
    case 'create-type':
      return step.type.state === 'different'
        ? line('~', `${step.type.kind} ${formatTableName(step.type.name)}: it ${step.type.problem}`)
        : line('+', `${step.type.kind} ${formatTableName(step.type.name)}`);
    case 'create-sequence':
      return line(
        '+',
        `sequence ${step.sequence.name.name} for ${formatTableName(step.table.destination)}`,
      );
    case 'create-table':
      return line(
        '+',
        `table ${formatTableName(step.table.destination)} (${counted(step.source.columns.length - excludedCount(step), 'column')})`,
      );
    case 'create-publication':
    case 'alter-publication':
    case 'create-slot':
    case 'reset-slot':
    case 'record-source':
    case 'release-slot':
    case 'drop-publication':
      return describeSourceStep(step);
    case 'publish-table':
    case 'register-table':
    case 'copy-table':
    case 'replay-table':
    case 'verify-table':
    case 'cancel-copy':
    case 'drop-shadow':
    case 'adopt-table':
    case 'create-constraint':
    case 'create-index':
    case 'add-foreign-key':
    case 'restore-foreign-key':
    case 'validate-foreign-key':
    case 'retire-table':
      return describeTableStep(step);
    default:
      return unreachable(step);
  }
}

type SourceStep = Extract<
  Step,
  {
    kind:
      | 'create-publication'
      | 'alter-publication'
      | 'create-slot'
      | 'reset-slot'
      | 'record-source'
      | 'release-slot'
      | 'drop-publication';
  }
>;

function describeSourceStep(step: SourceStep): Description {
  switch (step.kind) {
    case 'create-publication':
      return line('+', `publication of ${counted(step.tables.length, 'table')}`);
    case 'alter-publication':
      return line('~', `publication: ${publicationChange(step)}`);
    case 'create-slot':
      return line('+', step.adopt ? 'slot: adopt what an interrupted try left' : 'slot');
    case 'reset-slot':
      return line(
        '-',
        `slot: it ${step.reason}; every table is copied again${step.left === undefined ? '' : `; left behind in ${step.left}`}`,
      );
    case 'record-source':
      return line('~', `ledger: ${recordedSource(step)}`);
    case 'release-slot':
      return line('-', 'slot: its mirror file was removed');
    case 'drop-publication':
      return line('-', `publication ${step.name}`);
    default:
      return unreachable(step);
  }
}

function recordedSource({
  timeline,
  from,
  publication,
}: Extract<Step, { kind: 'record-source' }>): string {
  const isFailover = from !== undefined && timeline !== 0 && from !== timeline;
  const failover = `the source failed over from timeline ${from} to ${timeline}, with everything that was applied`;
  if (publication === undefined) return isFailover ? failover : 'who the source is';
  const owner = 'which publication it has, and whose that is';
  return isFailover ? `${failover}; ${owner}` : owner;
}

type TableStep = Extract<
  Step,
  {
    kind:
      | 'publish-table'
      | 'register-table'
      | 'copy-table'
      | 'replay-table'
      | 'verify-table'
      | 'cancel-copy'
      | 'drop-shadow'
      | 'adopt-table'
      | 'create-constraint'
      | 'create-index'
      | 'add-foreign-key'
      | 'restore-foreign-key'
      | 'validate-foreign-key'
      | 'retire-table';
  }
>;

function describeTableStep(step: TableStep): Description {
  switch (step.kind) {
    case 'publish-table':
      return line('~', `publication: add ${formatTableName(step.table.source)}`);
    case 'register-table':
      return line('+', `ledger: ${tableRoute(step)}`);
    case 'copy-table':
      return describeCopy(step);
    case 'replay-table':
      return line(
        '~',
        `${formatTableName(step.table.destination)}: apply the changes that are kept for it`,
      );
    case 'verify-table':
      return line(
        '~',
        `${formatTableName(step.table.destination)}: compare it with the source${step.reason === 'requested' ? ', as asked' : ''}`,
      );
    case 'cancel-copy':
      return line(
        '-',
        `resync of ${tableRoute(step)}: its counter went back to what was done; what can be kept is kept`,
      );
    case 'drop-shadow':
      return line('-', `${formatTableName(step.record.destination)}: drop what an ended swap left`);
    case 'adopt-table':
      return line(
        '~',
        `${formatTableName(step.table.destination)}: stream from here on, copy nothing (snapshot.initial is false)`,
      );
    case 'create-constraint':
      return line(
        '+',
        `${step.constraint.kind} ${step.constraint.name} on ${formatTableName(step.table.destination)}`,
      );
    case 'create-index':
      return line(
        '+',
        `${step.index.unique ? 'unique index' : 'index'} ${step.index.name} on ${formatTableName(step.table.destination)}`,
      );
    case 'add-foreign-key':
      return line(
        '+',
        `foreign key ${step.foreignKey.name} from ${formatTableName(step.table.destination)} to ${formatTableName(step.references)}`,
      );
    case 'restore-foreign-key':
      return line(
        '+',
        `foreign key ${step.saved.name} back from ${formatTableName(step.saved.owner)} to ${formatTableName(step.saved.table)}`,
      );
    case 'validate-foreign-key':
      return line('~', `validate foreign key ${step.name} of ${formatTableName(step.owner)}`);
    case 'retire-table':
      return line(
        '-',
        `${formatTableName(step.record.destination)}: stop streaming it, ${step.drop ? 'drop the table (deletionPolicy is Delete)' : 'keep its rows'}`,
      );
    default:
      return unreachable(step);
  }
}

/** A line for each: `spec.cdc.maxBatchSize: 100000 -> 5000 (in-place)`. The first time there is nothing to compare with. */
function describeChanges(changes: readonly FieldChange[]): string {
  if (changes.length === 0) return 'file: taken up';
  const lines = changes.map(
    ({ field, from, to, fieldClass }) =>
      `${field}: ${from ?? 'not there'} -> ${to ?? 'not there'} (${fieldClass})`,
  );
  return [`file: ${counted(changes.length, 'field')} changed`, ...lines].join('\n');
}

function describeCopy(step: Extract<Step, { kind: 'copy-table' }>): Description {
  const held =
    step.heldUntil === undefined
      ? ''
      : `; waits for the maintenance window that opens at ${step.heldUntil}`;
  const size = describeSize(step) + describePutAside(step) + held;
  switch (step.reason) {
    case 'first':
      return line('+', `rows of ${tableRoute(step)}: first copy, ${size}`);
    case 'resync':
      return line(
        '-/+',
        `rows of ${tableRoute(step)}: resync by ${step.strategy} to generation ${step.generation.table}${step.generation.mirror > 0 ? ` (mirror ${step.generation.mirror})` : ''}, ${size}`,
      );
    case 'retry':
      return line('-/+', `rows of ${tableRoute(step)}: copy again after an interruption, ${size}`);
    default:
      return unreachable(step.reason);
  }
}

/** A swap keeps them in use. */
function describePutAside({
  strategy,
  foreignKeys = [],
}: Extract<Step, { kind: 'copy-table' }>): string {
  if (strategy === 'swap' || foreignKeys.length === 0) return '';
  const names = foreignKeys.map(({ name, owner }) => `${name} of ${formatTableName(owner)}`);
  return `; without ${foreignKeys.length === 1 ? 'foreign key' : 'foreign keys'} ${names.join(', ')} until it is Live`;
}

/** A refusal: the code, what is wrong; the hint is the second line. */
export function describeRefusal(refusal: Refusal): Description {
  const { code, message, hint } = refusal.error;
  return line('x', `${code}: ${message}\n${hint}`);
}

/** Something to know. */
export function describeNotice(notice: Notice): Description {
  return line('!', `${notice.reason}: ${notice.message}`);
}

const CLOSING_WORDS = {
  '+': 'create',
  '~': 'change',
  '-/+': 'replace',
  '-': 'remove',
} as const satisfies Partial<Record<Symbol, string>>;

/** How many entries a plan has of each kind. */
export interface Totals {
  readonly create: number;
  readonly change: number;
  readonly replace: number;
  readonly remove: number;
  readonly refused: number;
}

/** By the symbols of the steps. */
export function totalsOf({ steps, refusals }: Pick<Plan, 'steps' | 'refusals'>): Totals {
  const totals = { create: 0, change: 0, replace: 0, remove: 0, refused: refusals.length };
  for (const step of steps) {
    const { symbol } = describeStep(step);
    if (symbol !== '!' && symbol !== 'x') totals[CLOSING_WORDS[symbol]] += 1;
  }
  return totals;
}

/** `Plan: 3 to create, 1 to replace.` */
export function closingLine(plan: Plan): string {
  if (plan.steps.length === 0 && plan.refusals.length === 0) return closingOfNothing(plan);
  const { refused, ...done } = totalsOf(plan);
  const counts = [
    ...Object.entries(done).map(([verb, count]) => ({ count, words: `to ${verb}` })),
    { count: refused, words: 'refused' },
  ];
  const told = counts
    .filter(({ count }) => count > 0)
    .map(({ count, words }) => `${count} ${words}`);
  return `Plan: ${told.join(', ')}.`;
}

/** Whether or not a resync would make a difference, it is none that is going to be made. */
function closingOfNothing({ notices }: Plan): string {
  if (notices.some(({ reason }) => reason === 'Suspended'))
    return 'Nothing to do: the mirror is suspended.';
  const left = notices.filter(isDifference).length;
  if (left === 0) return 'No changes. The mirror matches its file.';
  return `No changes will be made: ${counted(left, 'difference')} ${left === 1 ? 'is' : 'are'} left as told above.`;
}

function line(symbol: Symbol, text: string): Description {
  return { symbol, text };
}

function tableRoute({ table }: { readonly table: MirrorTable }): string {
  const source = formatTableName(table.source);
  return sameTable(table.source, table.destination)
    ? source
    : `${source} to ${formatTableName(table.destination)}`;
}

function publicationChange(step: Extract<Step, { kind: 'alter-publication' }>): string {
  const parts = [
    ...(step.add.length > 0 ? [`add ${step.add.map(formatTableName).join(', ')}`] : []),
    ...(step.drop.length > 0 ? [`drop ${step.drop.map(formatTableName).join(', ')}`] : []),
  ];
  return parts.length > 0 ? parts.join('; ') : 'publish every operation, partitions as their root';
}

function excludedCount(step: Extract<Step, { kind: 'create-table' }>): number {
  return step.source.columns.filter((column) => step.table.excludeColumns.includes(column.name))
    .length;
}

/** `about 1,200,000 rows, 340 MB with indexes`; an estimate that the source does not have is not made up. */
export function describeSize(size: {
  readonly estimatedRows: TableShape['estimatedRows'];
  readonly estimatedBytes: number;
}): string {
  const bytes = `${formatBytes(size.estimatedBytes)} with indexes`;
  return size.estimatedRows < 0
    ? `never analysed, ${bytes}`
    : `about ${counted(size.estimatedRows, 'row')}, ${bytes}`;
}

const BYTE_UNITS = ['bytes', 'kB', 'MB', 'GB', 'TB'];

/** As PostgreSQL's pg_size_pretty: powers of 1024, no more digits than say something. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < BYTE_UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  const digits = unit > 0 && value < 10 ? 1 : 0;
  return `${value.toFixed(digits)} ${BYTE_UNITS[unit]}`;
}

function counted(count: number, noun: string): string {
  return `${count.toLocaleString('en-US')} ${noun}${count === 1 ? '' : 's'}`;
}
