/** Edits the octets of a response's head: its lines, as latin1. */
import type { Fault } from '../fault.ts'

/** Makes a fault that edits the head of the response as text, and nothing else. */
export function headFault(
  name: string,
  text: string,
  edit: (head: string) => string,
  { closes = false }: { readonly closes?: boolean } = {},
): Fault {
  return { name, text, parts: [{ stage: 'head', closes, edit: (head) => editText(head, edit) }] }
}

/** Applies an edit of text to octets. */
export function editText(head: Buffer, edit: (head: string) => string): Buffer {
  return Buffer.from(edit(head.toString('latin1')), 'latin1')
}

/** Puts lines, with their line ends, behind the status line. */
export function insertLines(head: string, lines: string): string {
  const at = head.indexOf('\n') + 1
  return head.slice(0, at) + lines + head.slice(at)
}

/** Puts lines, with their line ends, in front of the empty line. */
export function appendLines(head: string, lines: string): string {
  const at = /\r?\n$/.exec(head)?.index ?? head.length
  return head.slice(0, at) + lines + head.slice(at)
}

/** Takes the fields of a name out, with their folded lines. */
export function removeFields(head: string, name: string): string {
  return head.replace(new RegExp(`(?<=\\n)${name}[ \\t]*:[^\\n]*\\n(?:[ \\t][^\\n]*\\n)*`, 'gi'), '')
}

/** The value of the first field of a name. */
export function valueOf(head: string, name: string): string | undefined {
  return new RegExp(`\\n${name}[ \\t]*:[ \\t]*([^\\r\\n]*?)[ \\t]*\\r?\\n`, 'i').exec(head)?.[1]
}
