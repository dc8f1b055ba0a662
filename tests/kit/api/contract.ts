import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';

export interface DocumentedAnswer {
  readonly content?: Readonly<Record<string, { readonly schema?: object }>>;
}

export interface Operation {
  readonly parameters?: readonly {
    readonly in: 'path' | 'query' | 'header';
    readonly name: string;
    readonly schema: object;
  }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: object }>> };
  readonly responses: Readonly<Record<string, DocumentedAnswer>>;
}

export interface OpenApiDocument {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

/** An answer as it came, and what it was asked for. */
export interface Answered {
  readonly method: string;
  /** As the document writes it: `/messages/{id}`. */
  readonly route: string;
  readonly status: number;
  /** Without parameters; undefined where the answer has none. */
  readonly contentType: string | undefined;
  readonly text: string;
}

/** Holds answers against the OpenAPI document of the API that gave them. */
export class ApiContract {
  readonly document: OpenApiDocument;
  readonly #ajv = new Ajv2020({
    strict: false,
    validateSchema: false,
    validateFormats: false,
    allErrors: true,
  });
  readonly #validators = new Map<string, ValidateFunction>();

  constructor(document: OpenApiDocument) {
    this.document = document;
    this.#ajv.addSchema(document, 'api');
  }

  /** What of an answer the document does not allow, as a sentence; undefined where it allows all of it. */
  problemOf({ method, route, status, contentType, text }: Answered): string | undefined {
    const { responses } = this.document.paths[route]?.[method.toLowerCase()] ?? { responses: {} };
    const key = [String(status), `${String(status)[0]}XX`].find((each) => each in responses);
    if (key === undefined) return `the status ${status} is not documented`;
    const content = responses[key]?.content ?? {};
    if (contentType === undefined || content[contentType] === undefined)
      return `the content type ${contentType} of ${status} is not documented: ${Object.keys(content).join(', ')}`;
    if (!/[/+]json$/.test(contentType)) return undefined;
    const pointer = [
      'paths',
      route,
      method.toLowerCase(),
      'responses',
      key,
      'content',
      contentType,
      'schema',
    ];
    const validate = this.#validatorAt(pointer);
    if (validate(JSON.parse(text))) return undefined;
    return `${this.#ajv.errorsText(validate.errors)} in ${text.slice(0, 500)}`;
  }

  #validatorAt(pointer: readonly string[]): ValidateFunction {
    const path = pointer.map((part) => encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1')));
    const $ref = `api#/${path.join('/')}`;
    const validate = this.#validators.get($ref) ?? this.#ajv.compile({ $ref });
    this.#validators.set($ref, validate);
    return validate;
  }
}
