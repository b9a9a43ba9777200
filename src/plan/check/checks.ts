/**
 * What `bunnydb check` says. The judgement of everything that `run` refuses is the planner's own; only
 * what the planner does not ask for (a connection, free slots, encodings, rights to come) is judged here.
 * Pure.
 */
import { MirrorError } from '../../core/errors.ts';
import type { Connection, Mirror, MirrorTable } from '../../core/mirror.ts';
import type { CheckLook, DestinationFacts, SourceFacts, Usage } from './check-look.ts';
import { CHECKS, STAGES, type CheckName, type Stage } from './check-name.ts';
import type { Check, Finding } from './finding.ts';
import { connectionFindings } from './connection-findings.ts';
import { desiredShape } from '../desired-shape.ts';
import { encodingFindings } from './encodings.ts';
import type { Refusal } from '../plan.ts';
import { planMirror } from '../plan-mirror.ts';
import { preflightDestination, preflightTarget } from '../preflight-destination.ts';
import { preflightSource, preflightSourceTable } from '../preflight-source.ts';
import { preflightPublication, preflightPublished } from '../publication.ts';
import { majorVersion } from '../server-version.ts';
import { destinationFindings, sourceFindings } from './side-findings.ts';

/**
 * Every check, in their order: one that passes, or its findings. A check of `run`'s own fails exactly where
 * the plan refuses; whether the mirror is suspended does not matter.
 */
export function checkMirror(mirror: Mirror, look: CheckLook): Check[] {
  const refusals = refusalsOf(mirror, look);
  const findings = [
    ...connectionFindings(mirror, look),
    ...(look.source.is === 'there' ? sourceFindings(mirror, look.source.facts) : []),
    ...(look.destination.is === 'there' ? destinationFindings(mirror, look.destination.facts) : []),
    ...(look.source.is === 'there' && look.destination.is === 'there'
      ? encodingFindings(look.source.facts.server, look.destination.facts.server)
      : []),
    ...refusals.map(toFinding),
  ];
  const names = Object.keys(CHECKS) as CheckName[];
  return names.flatMap((name): readonly Check[] => {
    const own = findings.filter((finding) => finding.name === name);
    return own.length > 0 ? own : [conclude(name, mirror, look, refusals)];
  });
}

/** What the plan refuses; with one side alone, what it would for that side's sake. */
function refusalsOf(mirror: Mirror, look: CheckLook): Refusal[] {
  const { source, destination, observed } = look;
  const areThere = source.is === 'there' && destination.is === 'there';
  const isUncompared = observed instanceof MirrorError;
  if (areThere && observed !== undefined && !isUncompared)
    return [...planMirror({ ...mirror, suspend: false }, observed).refusals];
  return [
    ...(source.is === 'there' ? sourceRefusals(mirror, source.facts) : []),
    ...(destination.is === 'there' ? destinationRefusals(mirror, destination.facts) : []),
    ...(areThere && isUncompared
      ? [{ table: undefined, error: observed, check: 'copy' } as const]
      : []),
  ];
}

function sourceRefusals(mirror: Mirror, { server, publication, shapes }: SourceFacts): Refusal[] {
  const look = { source: server, publication };
  return [
    ...preflightSource(mirror, look),
    ...preflightPublication(mirror, publication),
    ...mirror.tables.flatMap((table, index) => {
      const shape = shapes[index];
      const one = {
        table,
        observed: { sourceShape: shape },
        desired: shape && desiredShape(mirror, table, shape),
      };
      return [
        ...preflightSourceTable(one, mirror, look),
        ...preflightPublished(one, mirror, publication),
      ];
    }),
  ];
}

function destinationRefusals(mirror: Mirror, facts: DestinationFacts): Refusal[] {
  const look = { destination: facts.server, ledger: facts.ledger };
  return [
    ...preflightDestination(look),
    ...mirror.tables.flatMap((table, index) =>
      preflightTarget({ table, observed: { destinationShape: facts.shapes[index] } }, look),
    ),
  ];
}

function toFinding(refusal: Refusal): Finding {
  const { table, error } = refusal;
  const { message, code, hint: fix } = error;
  return { name: checkOf(refusal), result: 'fail', table, message, code, fix };
}

/** The planner names what it asks beforehand; the rest is about the slot, a copy, or what a table looks like. */
function checkOf({ check, table, error }: Refusal): CheckName {
  if (check !== undefined) return check;
  if (table === undefined) return 'slot';
  return error.code === 'SchemaMismatch' ? 'shape' : 'copy';
}

/** A check without findings: it passed, unless nothing could be looked at. */
function conclude(
  name: CheckName,
  mirror: Mirror,
  look: CheckLook,
  refusals: readonly Refusal[],
): Check {
  const { passes, ...kind } = CHECKS[name];
  const skip = (message: string): Check => ({ name, result: 'skip', table: undefined, message });
  // One that failed has its finding, and one that led to no answer was made all the same.
  const isConnection = name === 'source-connection' || name === 'destination-connection';
  const lacking = isConnection ? undefined : missingSide(kind.side, look);
  if (lacking !== undefined) return skip(lacking);
  if (!('stage' in kind))
    return { name, result: 'pass', table: undefined, message: passText(name, mirror, look) };
  const judged = mirror.tables.filter((table) => isJudged(table, kind.stage, refusals));
  if (judged.length === 0) return skip('no table got as far as this');
  const count =
    judged.length === mirror.tables.length
      ? judged.length === 1
        ? '1 table'
        : `${judged.length} tables`
      : `${judged.length} of ${mirror.tables.length} tables`;
  return { name, result: 'pass', table: undefined, message: `${passes} (${count})` };
}

function missingSide(side: 'source' | 'destination' | 'both', look: CheckLook): string | undefined {
  const sides = side === 'both' ? (['source', 'destination'] as const) : [side];
  const absent = sides.filter((one) => look[one].is !== 'there');
  if (absent.length > 0) return `the ${absent.join(' and the ')} could not be looked at`;
  return side === 'both' && look.observed instanceof MirrorError
    ? 'the two could not be compared'
    : undefined;
}

/** Whether nothing of a lower stage kept the planner from looking at this one. */
function isJudged(table: MirrorTable, stage: Stage, refusals: readonly Refusal[]): boolean {
  return !refusals.some((refusal) => {
    const kind = CHECKS[checkOf(refusal)];
    return (
      refusal.table === table &&
      'stage' in kind &&
      STAGES.indexOf(kind.stage) < STAGES.indexOf(stage)
    );
  });
}

function passText(name: CheckName, { source, destination }: Mirror, look: CheckLook): string {
  const from = look.source.is === 'there' ? look.source.facts : undefined;
  const to = look.destination.is === 'there' ? look.destination.facts : undefined;
  const usage = ({ used, max }: Usage): string => `${used} of ${max} are in use`;
  if (name === 'source-connection') return addressOf(source);
  if (name === 'destination-connection') return addressOf(destination);
  if (name === 'source-version' && from) return `PostgreSQL ${majorVersion(from.server)}`;
  if (name === 'destination-version' && to) return `PostgreSQL ${majorVersion(to.server)}`;
  if (name === 'free-slot' && from)
    return from.slot === undefined ? usage(from.room.slots) : 'the mirror has its slot';
  if (name === 'free-walsender' && from)
    return from.slot?.active === true ? 'the mirror has its own' : usage(from.room.walSenders);
  return CHECKS[name].passes;
}

function addressOf({ user, host, port, database }: Connection): string {
  return `${user}@${host}:${port}/${database}`;
}
