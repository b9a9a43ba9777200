/**
 * What the databases have and what they ought to have by a mirror's file, as pages of canonical YAML to
 * compare: one for the mirror, one for each table. Only what bunnydb answers for, sorted, without secrets
 * and without numbers that change by themselves. Pages that are alike are left out: none are left
 * exactly where the plan has nothing to do and nothing to tell of a difference.
 *
 * What is refused is on no page: what it ought to be is not going to be.
 */
import { stringify } from 'yaml';
import type { Generation, Mirror } from '../core/mirror.ts';
import type { Observed, SavedForeignKey } from '../core/observed.ts';
import { append } from '../core/multi-map.ts';
import { formatTableName, type TableName } from '../core/table-name.ts';
import { isSwapping, type TableRecord } from '../core/table-state.ts';
import { LEDGER_MIGRATIONS } from '../sql/ledger.ts';
import { shapePair } from './canonical-shape.ts';
import { isMended } from './judge-drift.ts';
import { NO_MEND, planMend } from './mend.ts';
import type { Plan, Step } from './plan.ts';
import { OPERATIONS } from './published.ts';
import { tableCases, type TableCase } from './table-case.ts';

/** YAML of both sides; undefined where there is nothing on that side. */
export interface Page {
  /** `shop` for the mirror, `shop/public.orders` for a table of the destination. */
  readonly name: string;
  readonly actual: string | undefined;
  readonly desired: string | undefined;
}

/** The pages that differ. `plan` is what planMirror made of the other two. */
export function comparePages(mirror: Mirror, observed: Observed, plan: Plan): readonly Page[] {
  const isRefused = plan.refusals.some(({ table }) => table === undefined);
  if (mirror.suspend || isRefused) return [];
  const isForgotten = plan.steps.some(({ kind }) => kind === 'reset-slot');
  const refused = isOneOf(plan.refusals.flatMap(({ table }) => table?.destination ?? []));
  const cases = tableCases(mirror, observed, isForgotten).filter(
    ({ table, moved }) => !moved && !refused(table.destination),
  );
  const isMirrored = isOneOf(cases.map(({ table }) => table.destination));
  const stepsOf = groupSteps(plan);
  const scene: Scene = { mirror, observed, plan, cases, refused, isMirrored, stepsOf };
  return [
    pageOf(mirror.name, mirrorSides(scene)),
    ...cases.map((tableCase) => tablePage(scene, tableCase)),
    ...plan.steps.flatMap((step) =>
      step.kind === 'retire-table' ? [retiredPage(mirror.name, step.record)] : [],
    ),
  ].filter(({ actual, desired }) => actual !== desired);
}

interface Scene {
  readonly mirror: Mirror;
  readonly observed: Observed;
  readonly plan: Plan;
  /** Of the tables that are on a page. */
  readonly cases: readonly TableCase[];
  /** By their name at the destination. */
  readonly refused: (table: TableName) => boolean;
  /** Likewise, of those that are on a page. */
  readonly isMirrored: (table: TableName) => boolean;
  /** By formatTableName(source). */
  readonly stepsOf: ReadonlyMap<string, readonly Step[]>;
}

function groupSteps({ steps }: Plan): Map<string, Step[]> {
  const groups = new Map<string, Step[]>();
  for (const step of steps) {
    if ('table' in step && step.table !== undefined)
      append(groups, formatTableName(step.table.source), step);
  }
  return groups;
}

function isOneOf(tables: readonly TableName[]): (table: TableName) => boolean {
  const names = new Set(tables.map(formatTableName));
  return (table) => names.has(formatTableName(table));
}

/** Undefined is left out, and so is what holds nothing. */
type Sheet = Readonly<Record<string, unknown>>;

interface Sides {
  readonly actual: Sheet | undefined;
  readonly desired: Sheet | undefined;
}

function pageOf(name: string, { actual, desired }: Sides): Page {
  return { name, actual: toYaml(actual), desired: toYaml(desired) };
}

/** Lines are not folded: one that changes is one line of a diff. */
function toYaml(sheet: Sheet | undefined): string | undefined {
  const kept = sheet && prune(sheet);
  return kept === undefined ? undefined : stringify(kept, { lineWidth: 0, indentSeq: false });
}

function prune(value: unknown): unknown {
  if (Array.isArray(value)) return value.length === 0 ? undefined : value;
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value)
    .map(([key, part]): [string, unknown] => [key, prune(part)])
    .filter(([, part]) => part !== undefined);
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}

function mirrorSides(scene: Scene): Sides {
  const { observed, plan } = scene;
  const spec = specSides(plan);
  const slot = slotSides(scene);
  const publication = publicationSides(scene);
  const cluster = clusterSides(scene);
  const types = typeSides(scene);
  const schemas = neededSchemas(scene);
  const { version } = observed.ledger;
  const putAside = putAsideSides(scene);
  return {
    actual: {
      spec: spec.actual,
      source: {
        cluster: cluster.actual,
        slot: slot.actual,
        publication: publication.actual,
        unreadPublications: plan.steps.flatMap((step) =>
          step.kind === 'drop-publication' ? [step.name] : [],
        ),
      },
      destination: {
        ledgerVersion: version === 0 ? undefined : version,
        schemas: schemas.filter((schema) => observed.destinationSchemas.includes(schema)),
        types: types.actual,
        foreignKeysPutAside: putAside.actual,
      },
    },
    desired: {
      spec: spec.desired,
      source: {
        cluster: cluster.desired,
        slot: slot.desired,
        publication: publication.desired,
      },
      destination: {
        ledgerVersion: Math.max(LEDGER_MIGRATIONS.length, version),
        schemas,
        types: types.desired,
        foreignKeysPutAside: putAside.desired,
      },
    },
  };
}

/** Of the file only what the ledger has not taken up: in the words of the step. */
function specSides({ steps }: Plan): Sides {
  const step = steps.find((candidate) => candidate.kind === 'accept-spec');
  if (step === undefined) return { actual: undefined, desired: undefined };
  if (step.changes.length === 0) return { actual: undefined, desired: { takenUp: true } };
  const side = (of: 'from' | 'to'): Sheet =>
    Object.fromEntries(step.changes.map((change) => [change.field, change[of]]));
  return { actual: side('from'), desired: side('to') };
}

/** Which one the ledger takes the source for; only where it learns something. */
function clusterSides({ observed: { source, ledger }, plan }: Scene): Sides {
  const step = plan.steps.find((candidate) => candidate.kind === 'record-source');
  if (step === undefined) return { actual: undefined, desired: undefined };
  const side = (identifier: string | undefined, timeline: number | undefined): Sheet => ({
    systemIdentifier: identifier === '' ? undefined : identifier,
    timeline: timeline === 0 ? undefined : timeline,
  });
  return {
    actual: side(ledger.mirror?.sourceSystemIdentifier, step.from),
    desired: side(source.systemIdentifier, step.timeline),
  };
}

function slotSides({ mirror, plan }: Scene): Sides {
  const desired = { name: mirror.slot, state: 'there' };
  const created = plan.steps.find((step) => step.kind === 'create-slot');
  if (plan.steps.some(({ kind }) => kind === 'reset-slot'))
    return { actual: { ...desired, state: 'lost' }, desired };
  if (created === undefined) return { actual: desired, desired };
  return { actual: created.adopt ? { ...desired, state: 'unfinished' } : undefined, desired };
}

/** One that is somebody else's is theirs to look after. */
function publicationSides({ mirror, observed: { publication }, plan, cases }: Scene): Sides {
  const { name, managed } = mirror.publication;
  if (!managed) return { actual: undefined, desired: undefined };
  const members = publication?.tables ?? [];
  const dropped = plan.steps.flatMap((step) =>
    step.kind === 'alter-publication' ? step.drop : [],
  );
  const isDropped = isOneOf(dropped);
  const kept = members.filter((member) => !isDropped(member));
  const isKept = isOneOf(kept);
  const list = (tables: readonly TableName[]): string | string[] =>
    publication?.allTables === true ? 'all' : sorted(tables.map(formatTableName));
  return {
    actual: publication && {
      name,
      operations: sorted(publication.operations).join(', '),
      partitions: publication.viaPartitionRoot ? 'as their root' : 'by themselves',
      tables: list(members),
    },
    desired: {
      name,
      operations: sorted(
        publication?.allTables === true ? publication.operations : OPERATIONS,
      ).join(', '),
      partitions:
        publication?.allTables !== true || publication.viaPartitionRoot
          ? 'as their root'
          : 'by themselves',
      tables: list([
        ...kept,
        ...cases.map(({ table }) => table.source).filter((table) => !isKept(table)),
      ]),
    },
  };
}

function typeSides({ cases }: Scene): Sides {
  const types = new Map(
    cases
      .flatMap(({ observed }) => observed.types)
      .map((type) => [formatTableName(type.name), type]),
  );
  const names = sorted([...types.keys()]);
  const side = (
    text: (type: TableCase['observed']['types'][number]) => string | undefined,
  ): Sheet =>
    Object.fromEntries(
      names.map((name) => {
        const type = types.get(name);
        return [name, type && text(type)];
      }),
    );
  return {
    actual: side(({ kind, state, problem }) =>
      state === 'missing' ? undefined : `${kind}${state === 'same' ? '' : `: it ${problem}`}`,
    ),
    desired: side(({ kind }) => kind),
  };
}

function neededSchemas({ cases }: Scene): string[] {
  return sorted([
    ...new Set(
      cases.flatMap(({ table, observed, desired }) => [
        table.destination.schema,
        ...observed.types.map(({ name }) => name.schema),
        ...(observed.destinationShape === undefined ? (desired?.sequences ?? []) : []).map(
          ({ name }) => name.schema,
        ),
      ]),
    ),
  ]);
}

/** What a truncate took away for a while. What a refused table waits for stays away. */
function putAsideSides({ observed, plan, refused }: Scene): {
  readonly actual: readonly string[];
  readonly desired: readonly string[];
} {
  const saved = observed.ledger.savedForeignKeys;
  const restored = plan.steps.flatMap((step) =>
    step.kind === 'restore-foreign-key' ? [step.saved.id] : [],
  );
  const kept = saved.filter(
    ({ id, table, owner }) => !restored.includes(id) && (refused(table) || refused(owner)),
  );
  return { actual: sorted(saved.map(savedText)), desired: sorted(kept.map(savedText)) };
}

function savedText({ name, owner, table, definition }: SavedForeignKey): string {
  return `${name} of ${formatTableName(owner)} to ${formatTableName(table)}: ${definition}`;
}

function tablePage(scene: Scene, tableCase: TableCase): Page {
  const { mirror, observed, isMirrored } = scene;
  const { table, desired } = tableCase;
  const actual = tableCase.observed.destinationShape;
  const name = `${mirror.name}/${formatTableName(table.destination)}`;
  // Without a table at the source it would be refused.
  if (desired === undefined) return { name, actual: undefined, desired: undefined };
  const steps = scene.stepsOf.get(formatTableName(table.source)) ?? [];
  const mend =
    actual !== undefined && isMended(tableCase, steps)
      ? planMend(desired, actual, tableCase.dropped)
      : NO_MEND;
  const shape = shapePair({ desired, actual, mend, isMirrored });
  const record = observed.ledger.tables.find(({ id }) => id === tableCase.record?.id);
  const rows = rowSides(tableCase, record, steps);
  const isUnknown = record === undefined && actual === undefined;
  return pageOf(name, {
    actual: isUnknown ? undefined : { ...rows.actual, ...shape.actual },
    desired: { ...rows.desired, ...shape.desired },
  });
}

/** Where the rows come from, how far they are, and what they were copied for. */
function rowSides(
  { table, observed, record: planned, hasShadow }: TableCase,
  record: TableRecord | undefined,
  steps: readonly Step[],
): { actual: Sheet; desired: Sheet } {
  const source = formatTableName(table.source);
  const isCompared = !steps.some(({ kind }) => kind === 'verify-table');
  const done = record?.observed;
  // The plan looks at what the loss of a slot leaves of the record.
  const columns = new Set(observed.sourceShape?.columns.map(({ name }) => name));
  const ofSource = (names: readonly string[]): string[] =>
    sorted(names.filter((name) => columns.has(name)));
  const isForgotten = planned?.state.phase === 'Pending' && record?.state.phase !== 'Pending';
  return {
    actual: {
      source,
      state: record === undefined ? 'New' : isForgotten ? 'Stale' : record.state.phase,
      ...(done && generationSheet(done)),
      comparedWithSource: isCompared ? undefined : 'due',
      leftOfSwap: record !== undefined && hasShadow && !isSwapping(record) ? 'yes' : undefined,
      excludeColumns: ofSource(record?.excludeColumns ?? table.excludeColumns),
      columnsLeftBehind: ofSource(record?.staleColumns ?? []),
    },
    desired: {
      source,
      state: 'Live',
      ...generationSheet({
        table: Math.max(table.generation.table, done?.table ?? 0),
        mirror: Math.max(table.generation.mirror, done?.mirror ?? 0),
      }),
      comparedWithSource: isCompared ? undefined : 'done',
      excludeColumns: ofSource(table.excludeColumns),
    },
  };
}

/** The table's own counter, and the mirror's where it was ever raised. */
function generationSheet({ table, mirror }: Generation): Sheet {
  return {
    resyncGeneration: table,
    resyncGenerationOfMirror: mirror === 0 ? undefined : mirror,
  };
}

/** The rows that are kept are nobody's business of ours any more. */
function retiredPage(mirror: string, record: TableRecord): Page {
  const sheet = { source: formatTableName(record.source), state: record.state.phase };
  return pageOf(`${mirror}/${formatTableName(record.destination)}`, {
    actual: sheet,
    desired: undefined,
  });
}

function sorted(texts: readonly string[]): string[] {
  return texts.toSorted((a, b) => Number(a > b) - Number(a < b));
}
