/** The page of a mirror as a whole: its slot and publication, and what its tables share at the destination. */
import { parse } from 'yaml';
import type { PublicationIdentity, SavedForeignKey } from '../../core/observed.ts';
import { formatTableName, type TableName } from '../../core/table-name.ts';
import { LEDGER_MIGRATIONS } from '../../sql/ledger.ts';
import { isOneOf, sorted, type Scene, type Sheet, type Sides } from './canonical-page.ts';
import type { Plan } from '../plan.ts';
import { OPERATIONS } from '../published.ts';
import type { TableCase } from '../table-case.ts';

export function mirrorSides(scene: Scene): Sides {
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
    Object.fromEntries(
      step.changes.map((change) => {
        const value = change[of];
        return [change.field, value === undefined ? undefined : parse(value)];
      }),
    );
  return { actual: side('from'), desired: side('to') };
}

/** Which one the ledger takes the source for; only where it learns something. */
function clusterSides({ observed: { source, ledger }, plan }: Scene): Sides {
  const step = plan.steps.find((candidate) => candidate.kind === 'record-source');
  if (step === undefined) return { actual: undefined, desired: undefined };
  const known = ledger.mirror;
  const side = (
    identifier: string | undefined,
    timeline: number | undefined,
    publication: PublicationIdentity | undefined,
  ): Sheet => ({
    systemIdentifier: identifier === '' ? undefined : identifier,
    timeline: timeline === 0 ? undefined : timeline,
    publicationOwner: publication?.owner,
  });
  return {
    actual: side(known?.sourceSystemIdentifier, step.from, known?.publicationIdentity),
    desired: side(
      source.systemIdentifier,
      step.timeline,
      step.publication ?? known?.publicationIdentity,
    ),
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

/** Of types and tables that are missing; the others are in theirs. */
function neededSchemas({ cases }: Scene): string[] {
  const names = cases.flatMap(({ table, observed, desired }) => {
    const types = observed.types.map(({ name }) => name.schema);
    if (observed.destinationShape !== undefined) return types;
    const sequences = (desired?.sequences ?? []).map(({ name }) => name.schema);
    return [...types, table.destination.schema, ...sequences];
  });
  return sorted([...new Set(names)]);
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
