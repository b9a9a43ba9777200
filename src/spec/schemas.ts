import { readFileSync } from 'node:fs';
import { Ajv2020, type ErrorObject } from 'ajv/dist/2020.js';
import type { Kind } from './document.ts';

/** The parts of a JSON Schema that messages are made from. */
export interface SchemaNode {
  /** What the value must be, in words that go on after "must be". */
  readonly $comment?: string;
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly items?: SchemaNode;
  readonly examples?: readonly unknown[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly else?: { readonly $ref?: string };
  readonly $defs?: Readonly<Record<string, SchemaNode>>;
}

export const KINDS: readonly Kind[] = ['Mirror', 'Peer'];

/** Where each schema lies, seen from src/spec and from dist/spec alike. */
const SCHEMA_FILES: Readonly<Record<Kind, URL>> = {
  Mirror: new URL('../../schemas/mirror.schema.json', import.meta.url),
  Peer: new URL('../../schemas/peer.schema.json', import.meta.url),
};

const SCHEMAS: Readonly<Record<Kind, SchemaNode>> = {
  Mirror: readSchema(SCHEMA_FILES.Mirror),
  Peer: readSchema(SCHEMA_FILES.Peer),
};

// allErrors is safe here: files are capped in size and the patterns do not backtrack.
const ajv = new Ajv2020({ strict: true, allErrors: true, verbose: true });
const VALIDATORS = { Mirror: ajv.compile(SCHEMAS.Mirror), Peer: ajv.compile(SCHEMAS.Peer) };

/** Checks data against the schema of its kind; an empty list means it is a document of that kind. */
export function schemaErrors(kind: Kind, data: unknown): readonly ErrorObject[] {
  const validator = VALIDATORS[kind];
  return validator(data) ? [] : (validator.errors ?? []);
}

/** The paths of the objects that know a field of this name: `resyncGeneration` -> spec, spec.tables[]. */
export function homesOfField(kind: Kind, field: string): readonly string[] {
  return HOMES[kind].get(field) ?? [];
}

const HOMES: Readonly<Record<Kind, ReadonlyMap<string, readonly string[]>>> = {
  Mirror: collectHomes(SCHEMAS.Mirror),
  Peer: collectHomes(SCHEMAS.Peer),
};

function collectHomes(root: SchemaNode): Map<string, string[]> {
  const homes = new Map<string, string[]>();
  const visit = (node: SchemaNode, path: string): void => {
    for (const [field, child] of Object.entries(node.properties ?? {})) {
      homes.set(field, [...(homes.get(field) ?? []), path]);
      visit(child, path === '' ? field : `${path}.${field}`);
    }
    if (node.items !== undefined) visit(node.items, `${path}[]`);
    const connection = node.else === undefined ? undefined : root.$defs?.['connection'];
    if (connection !== undefined) visit(connection, path);
  };
  visit(root, '');
  return homes;
}

function readSchema(url: URL): SchemaNode {
  return JSON.parse(readFileSync(url, 'utf8')) as SchemaNode;
}
