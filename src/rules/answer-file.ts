/** Files as bodies of answers. */
import { open } from 'node:fs/promises'
import { extname, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

import { lookup } from 'mrmime'

import type { StreamBody } from './answer-stream.ts'

/** Up to here a file is read at once; a larger one is streamed. */
const MAX_READ_BYTES = 1024 * 1024

/** A file, opened. */
export interface AnswerFile {
  readonly body: Buffer | StreamBody
  /** In octets. */
  readonly length: number
}

/** Opens a file. @throws the system's error, or an Error when it is none */
export async function openFile(path: string | URL): Promise<AnswerFile> {
  // Whole, so that an error says where it was looked for.
  const handle = await open(resolve(pathText(path)))
  let isOurs = true
  try {
    const stats = await handle.stat()
    if (!stats.isFile()) throw new Error(`${pathText(path)} is not a file`)
    if (stats.size <= MAX_READ_BYTES) {
      const body = await handle.readFile()
      return { body, length: body.length }
    }
    isOurs = false
    return { body: handle.createReadStream(), length: stats.size }
  } finally {
    // The stream closes it otherwise.
    if (isOurs) await handle.close()
  }
}

/** The content type that the extension of a file says. */
export function typeOfFile(path: string | URL): string {
  const type = lookup(extname(pathText(path))) ?? 'application/octet-stream'
  return type.startsWith('text/') ? `${type}; charset=utf-8` : type
}

function pathText(path: string | URL): string {
  return typeof path === 'string' ? path : fileURLToPath(path)
}

/** What is wrong with a path, in words; undefined when nothing is. */
export function problemWithPath(path: unknown): string | undefined {
  if (typeof path === 'string' && path !== '' && !path.includes('\0')) return undefined
  if (path instanceof URL && path.protocol === 'file:') return undefined
  return `path is ${path instanceof URL ? path.href : (JSON.stringify(path) ?? String(path))}, expected the path of a file`
}
