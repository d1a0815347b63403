/** Rules for requests of one method: short for `when()`. */
import type { ExchangeFilter } from './filter.ts'
import type { Rule } from './rule.ts'

/** Makes rules. */
export abstract class RuleShorthands {
  abstract when(filter: ExchangeFilter): Rule

  /** A rule for GET requests. @throws as `when` */
  get(url: string | RegExp): Rule {
    return this.when({ method: 'GET', url })
  }

  /** A rule for POST requests. @throws as `when` */
  post(url: string | RegExp): Rule {
    return this.when({ method: 'POST', url })
  }

  /** A rule for PUT requests. @throws as `when` */
  put(url: string | RegExp): Rule {
    return this.when({ method: 'PUT', url })
  }

  /** A rule for PATCH requests. @throws as `when` */
  patch(url: string | RegExp): Rule {
    return this.when({ method: 'PATCH', url })
  }

  /** A rule for DELETE requests. @throws as `when` */
  delete(url: string | RegExp): Rule {
    return this.when({ method: 'DELETE', url })
  }

  /** A rule for HEAD requests. @throws as `when` */
  head(url: string | RegExp): Rule {
    return this.when({ method: 'HEAD', url })
  }

  /** A rule for OPTIONS requests. @throws as `when` */
  options(url: string | RegExp): Rule {
    return this.when({ method: 'OPTIONS', url })
  }
}
