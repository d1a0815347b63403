/**
 * A certificate authority kept in a folder that several processes may open at once.
 *
 * The key file holds the certificate too, so that one file decides: it is put in place by a link, which only the first
 * process can make, and the certificate file is written after it. A process that dies between leaves nothing that the
 * next one cannot complete.
 */
import { createHash, randomUUID } from 'node:crypto'
import { link, mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'

import { systemCode } from '../errors.ts'

/** The name of the certificate file. */
export const CERTIFICATE_FILE = 'mitm-ca.pem'
/** The name of the file with the key, and the certificate after it. */
export const KEY_FILE = 'mitm-ca-key.pem'

/** A certificate and its key, both PEM. */
export interface PemPair {
  readonly certificate: string
  readonly privateKey: string
}

/** What the folder must be told about authorities. */
export interface AuthorityCheck {
  /** Makes a new pair. */
  create(): Promise<PemPair>
  /** Whether the pair can be used still; throws when it is no pair at all. */
  isCurrent(pair: PemPair): boolean
}

/** Loads the pair in `folder`; makes and saves one when there is none, or the one there has expired. */
export async function openAuthorityFolder(folder: string, check: AuthorityCheck): Promise<PemPair> {
  await mkdir(folder, { recursive: true })
  const keyPath = join(folder, KEY_FILE)
  const certificatePath = join(folder, CERTIFICATE_FILE)
  for (;;) {
    const stored = await readIfThere(keyPath)
    if (stored === undefined) {
      const pair = await check.create()
      await linkOnce(keyPath, pair.privateKey + pair.certificate)
      continue
    }
    const { pair, isComplete } = choosePair(stored, await readIfThere(certificatePath), check)
    if (check.isCurrent(pair)) {
      if (!isComplete) await writeFileAtomically(certificatePath, pair.certificate, 0o644)
      return pair
    }
    await replace(keyPath, stored, check)
  }
}

/**
 * Writes a file in one step: whoever opens `path` finds the old content or the new, and the mode holds from the first
 * moment on.
 */
export async function writeFileAtomically(path: string, content: string, mode: number): Promise<void> {
  const temporary = await writeTemporary(path, content, mode)
  try {
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}

/** The pair that the two files stand for. */
function choosePair(
  stored: string,
  certificate: string | undefined,
  check: AuthorityCheck,
): { pair: PemPair; isComplete: boolean } {
  const start = stored.indexOf('-----BEGIN CERTIFICATE-----')
  if (start === -1) {
    // Somebody else's files; without the certificate the check will say what is missing.
    return { pair: { certificate: certificate ?? '', privateKey: stored }, isComplete: true }
  }
  const own = { certificate: stored.slice(start), privateKey: stored.slice(0, start) }
  if (certificate === undefined) return { pair: own, isComplete: false }
  const pair = { certificate, privateKey: own.privateKey }
  try {
    if (check.isCurrent(pair)) return { pair, isComplete: true }
  } catch {
    // The certificate of an earlier key, which another process is about to replace.
  }
  return { pair: own, isComplete: false }
}

/**
 * Replaces an expired key file, by the same new one in every process that does so at once. The successor is agreed on
 * under a name made from the old content. Once it is in place that name may be used anew by a late process; which then
 * finds that the key file has changed, and takes that.
 */
async function replace(keyPath: string, expired: string, check: AuthorityCheck): Promise<void> {
  const successorPath = `${keyPath}.${createHash('sha256').update(expired).digest('hex').slice(0, 16)}`
  const pair = await check.create()
  await linkOnce(successorPath, pair.privateKey + pair.certificate)
  const successor = await readIfThere(successorPath)
  if (successor === undefined) return
  if ((await readIfThere(keyPath)) === expired) await writeFileAtomically(keyPath, successor, 0o600)
  await rm(successorPath, { force: true })
}

/** Puts a file in place, whole, unless there is one. */
async function linkOnce(path: string, content: string): Promise<void> {
  const temporary = await writeTemporary(path, content, 0o600)
  try {
    await link(temporary, path)
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error
  } finally {
    await rm(temporary, { force: true })
  }
}

async function writeTemporary(path: string, content: string, mode: number): Promise<string> {
  const temporary = `${path}.${randomUUID()}.tmp`
  const file = await open(temporary, 'wx', mode)
  try {
    // The umask may have taken bits away.
    await file.chmod(mode)
    await file.writeFile(content)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  } finally {
    await file.close()
  }
  return temporary
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined
    throw error
  }
}
