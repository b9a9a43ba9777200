/**
 * The schema validator's errors in the words of somebody who edits the file. A value that was
 * written is quoted only where it cannot be a password: numbers that are in no password's place, and words
 * out of a fixed list. So is the name of an unknown field: what lacks a space behind its colon is one too.
 */
import type { ErrorObject } from 'ajv/dist/2020.js';
import { parseTableName } from '../core/table-name.ts';
import type { Kind } from './document.ts';
import { formatFieldPath, isFieldName, parsePointer, type FieldPath } from './field-path.ts';
import { homesOfField, type SchemaNode } from './schemas.ts';
import { nearest, onlyRelated } from './suggest.ts';
import type { Finding } from './yaml-file.ts';

/** Puts one error in words. Returns undefined for one that only repeats another. */
export function explain(error: ErrorObject, kind: Kind): Finding | undefined {
  const path = parsePointer(error.instancePath);
  switch (error.keyword) {
    case 'if':
      return undefined;
    case 'required':
      return explainMissing(error, path);
    case 'additionalProperties':
      return explainUnknown(error, path, kind);
    case 'type':
      // A choice out of a list says it better, and is checked too.
      return isChoice(schemaOf(error)) ? undefined : explainType(error, path);
    case 'enum':
    case 'const':
      return explainChoice(error, path);
    default:
      return { code: 'InvalidValue', path, ...explainLimit(error, formatFieldPath(path)) };
  }
}

function explainMissing(error: ErrorObject, path: FieldPath): Finding {
  const field = String(error.params['missingProperty']);
  const example = schemaOf(error).properties?.[field]?.examples?.[0];
  return {
    code: 'MissingField',
    path,
    message: `${formatFieldPath([...path, field])} is missing`,
    ...(example === undefined ? {} : { hint: `for example: ${field}: ${inYaml(example)}` }),
  };
}

function explainUnknown(error: ErrorObject, path: FieldPath, kind: Kind): Finding {
  const field = String(error.params['additionalProperty']);
  if (path.at(-1) === 'password')
    // Not by its name: `password: {hunter2}` has a field named hunter2.
    return {
      code: 'UnknownField',
      path: [...path, field],
      atKey: true,
      message: `${formatFieldPath(path)} has an unknown field`,
      hint: 'use {env: NAME} or {file: PATH}',
    };
  const known = Object.keys(schemaOf(error).properties ?? {});
  if (!isFieldName(field)) return explainNoName(field, path, known);
  const meant = nearest(field, known) ?? onlyRelated(field, known);
  return {
    code: 'UnknownField',
    path: [...path, field],
    atKey: true,
    message: `${formatFieldPath([...path, field])} is not a known field`,
    hint: meant === undefined ? whereItBelongs(field, known, kind) : `did you mean ${meant}?`,
  };
}

function explainNoName(field: string, path: FieldPath, known: readonly string[]): Finding {
  const colon = field.includes(':') ? 'a colon needs a space behind it; ' : '';
  return {
    code: 'UnknownField',
    path: [...path, field],
    atKey: true,
    message: `${formatFieldPath(path) || 'the document'} has an unknown field`,
    hint: `${colon}known fields here: ${known.join(', ')}`,
  };
}

function whereItBelongs(field: string, known: readonly string[], kind: Kind): string {
  const homes = homesOfField(kind, field).map((home) => (home === '' ? 'the top level' : home));
  if (homes.length > 0) return `${field} belongs in ${homes.join(' or ')}`;
  return `known fields here: ${known.join(', ')}`;
}

function explainType(error: ErrorObject, path: FieldPath): Finding {
  const { data } = error;
  const name = formatFieldPath(path) || 'the document';
  const isScalar = data !== null && typeof data !== 'object';
  if (path.at(-1) === 'password' && isScalar)
    return {
      code: 'LiteralPassword',
      path,
      message: `${name} must not be written in the file`,
      hint: 'use {env: NAME} or {file: PATH}, and change the password if this was ever committed',
    };
  const wanted = schemaOf(error).$comment ?? TYPE_NAMES[String(error.params['type'])];
  if (path.includes('password') && isScalar)
    return {
      code: 'WrongType',
      path,
      message: `${name} must be ${wanted}`,
      hint: 'use {env: NAME} or {file: PATH}',
    };
  return {
    code: 'WrongType',
    path,
    message: `${name} must be ${wanted}, not ${describe(data)}`,
    hint: typeHint(error, path),
  };
}

const TYPE_NAMES: Readonly<Record<string, string>> = {
  string: 'text',
  integer: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
  object: 'a mapping',
  array: 'a list',
};

function describe(data: unknown): string {
  if (data === null) return 'empty';
  if (Array.isArray(data)) return 'a list';
  if (typeof data === 'object') return 'a mapping';
  if (typeof data === 'string') return 'text';
  // Not as JSON, which has no infinite number.
  return typeof data === 'number' ? `the number ${String(data)}` : JSON.stringify(data);
}

function typeHint({ data, params }: ErrorObject, path: FieldPath): string | undefined {
  const wanted = String(params['type']);
  if (wanted === 'string' && (typeof data === 'number' || typeof data === 'boolean'))
    return `put it in quotes: "${String(data)}"`;
  if (typeof data !== 'string') return undefined;
  if (path[1] === 'tables' && path.length === 3 && parseTableName(data) !== undefined)
    return `write "- source: ${data}"`;
  if (wanted === 'boolean' && /^(?:yes|no|on|off|true|false)$/i.test(data))
    return `write ${/^(?:yes|on|true)$/i.test(data) ? 'true' : 'false'}, without quotes`;
  if (wanted === 'array') return 'begin each item on its own line with "- "';
  return /^(?:integer|number)$/.test(wanted) && /^\d+$/.test(data)
    ? `write ${data}, without quotes`
    : undefined;
}

function explainChoice(error: ErrorObject, path: FieldPath): Finding {
  const { data, params, keyword } = error;
  const allowed = (
    keyword === 'const' ? [params['allowedValue']] : params['allowedValues']
  ) as string[];
  const meant = typeof data === 'string' ? nearest(data, allowed) : undefined;
  return {
    code: path[0] === 'apiVersion' ? 'UnknownVersion' : 'InvalidValue',
    path,
    message: `${formatFieldPath(path)} must be ${allowed.length > 1 ? 'one of ' : ''}${allowed.join(', ')}`,
    hint: meant === undefined ? undefined : `did you mean ${meant}?`,
  };
}

function isChoice(schema: SchemaNode): boolean {
  return schema.enum !== undefined || schema.const !== undefined;
}

function explainLimit(error: ErrorObject, name: string): { message: string; hint?: string } {
  const limit = String(error.params['limit']);
  const { $comment: wanted, examples } = schemaOf(error);
  switch (error.keyword) {
    case 'pattern':
      return {
        message: `${name} must be ${wanted}`,
        ...(examples?.[0] === undefined ? {} : { hint: `for example: ${inYaml(examples[0])}` }),
      };
    case 'minimum':
      return { message: `${name} must be ${limit} or more` };
    case 'maximum':
      return { message: `${name} must be ${limit} or less` };
    case 'minLength':
      return { message: `${name} must not be empty` };
    case 'maxLength':
      return { message: `${name} must not be longer than ${limit} characters` };
    case 'minItems':
      return { message: `${name} must not be an empty list` };
    case 'maxItems':
      return { message: `${name} must not have more than ${limit} items` };
    case 'uniqueItems':
      return {
        message: `items ${error.params['i']} and ${error.params['j']} of ${name} are the same`,
      };
    case 'minProperties':
    case 'maxProperties':
      return { message: `${name} must be ${wanted ?? `a mapping of at most ${limit} fields`}` };
    default:
      return { message: `${name} ${error.message ?? 'is not valid'}` };
  }
}

/** JSON is YAML too, only with more quotes than a plain text needs. */
function inYaml(example: unknown): string {
  return typeof example === 'string' ? example : JSON.stringify(example);
}

function schemaOf(error: ErrorObject): SchemaNode {
  return (error.parentSchema ?? {}) as SchemaNode;
}
