import type { Diagnostic } from './diagnostic.ts';
import type { Kind, SpecDocument } from './document.ts';
import { explain } from './explain.ts';
import { KINDS, schemaErrors } from './schemas.ts';
import { nearest } from './suggest.ts';
import type { Finding, YamlFile } from './yaml-file.ts';

/** `document` is missing when there are errors. */
export interface ValidationResult {
  readonly document?: SpecDocument;
  /** There also with unknown fields in it, since what is known is as it should be: rules can be checked. */
  readonly outline?: SpecDocument;
  readonly diagnostics: readonly Diagnostic[];
}

/** Nobody reads more about one file, and each costs a search for its place. */
const MAX_FINDINGS = 100;

const TOO_MANY: Finding = {
  code: 'InvalidValue',
  path: [],
  message: `there is more: only ${MAX_FINDINGS} errors of a file are told`,
  hint: 'is this the file that was meant?',
};

/** Checks one file against the schema of its kind and says everything that is wrong with it. */
export function validateFile(file: YamlFile): ValidationResult {
  if (!isMapping(file.data)) {
    const message = 'the file must hold a mapping with apiVersion, kind, metadata and spec';
    return { diagnostics: [file.report({ code: 'WrongType', path: [], message })] };
  }
  const written = file.data['kind'];
  const known = KINDS.find((kind) => kind === written);
  const kind = known ?? guessKind(file.data);
  const findings: Finding[] = known === undefined ? [explainKind(file.data, kind)] : [];
  if (kind !== undefined) {
    for (const error of schemaErrors(kind, file.data)) {
      const finding = explain(error, kind);
      if (finding === undefined || isKnown(finding)) continue;
      if (findings.push(finding) < MAX_FINDINGS) continue;
      findings.push(TOO_MANY);
      break;
    }
  }
  const diagnostics = findings.map((finding) => file.report(finding));
  const document = file.data as unknown as SpecDocument;
  if (diagnostics.length === 0) return { document, outline: document, diagnostics };
  const isWhole = findings.every(({ code }) => code === 'UnknownField');
  return isWhole ? { outline: document, diagnostics } : { diagnostics };
}

/** The kind has its own words, and merge keys were refused while parsing. */
function isKnown({ path, message }: Finding): boolean {
  return path[0] === 'kind' || message === 'kind is missing' || path.at(-1) === '<<';
}

/** What a file of no known kind was most likely meant to be, so that its other errors can be told too. */
function guessKind(data: Record<string, unknown>): Kind | undefined {
  const meant = typeof data['kind'] === 'string' ? nearest(data['kind'], KINDS) : undefined;
  if (meant !== undefined) return KINDS.find((kind) => kind === meant);
  const { spec } = data;
  if (data['kind'] !== undefined || !isMapping(spec)) return undefined;
  if ('tables' in spec || 'destination' in spec) return 'Mirror';
  return 'host' in spec ? 'Peer' : undefined;
}

function explainKind(
  { kind: written, apiVersion }: Record<string, unknown>,
  meant?: Kind,
): Finding {
  if (written === undefined)
    return {
      code: 'MissingField',
      path: [],
      message: 'kind is missing',
      hint: meant === undefined ? 'add kind: Mirror or kind: Peer' : `add kind: ${meant}`,
    };
  const message = 'kind must be one of Mirror, Peer';
  if (meant !== undefined)
    return { code: 'UnknownKind', path: ['kind'], message, hint: `did you mean ${meant}?` };
  if (written === 'MirrorStatus') {
    const hint = 'status files belong in the status directory';
    return { code: 'UnknownKind', path: ['kind'], message, hint };
  }
  const isOurs = typeof apiVersion === 'string' && apiVersion.startsWith('bunnydb/');
  const hint = isOurs ? undefined : 'files of other programs belong elsewhere';
  return { code: 'UnknownKind', path: ['kind'], message, hint };
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
