"""What the API answers when it refuses, in the words its clients look for."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

_BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest"
_ERROR_INFO = "type.googleapis.com/google.rpc.ErrorInfo"


class ApiError(Exception):
    """A refusal with its HTTP status, the API's own status name and a message."""

    def __init__(self, code: int, status: str, message: str, details: list[Json] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.message = message
        self.details = details

    def body(self) -> Json:
        """The JSON a client gets."""
        error: Json = {"code": self.code, "message": self.message, "status": self.status}
        if self.details:
            error["details"] = self.details
        return {"error": error}


class DriveError(ApiError):
    """A refusal by Drive, which words its errors in an older way."""

    def __init__(self, code: int, reason: str, message: str, domain: str = "global") -> None:
        super().__init__(code, reason, message)
        self.domain = domain

    def body(self) -> Json:
        """The JSON a client gets."""
        one = {"message": self.message, "domain": self.domain, "reason": self.status}
        return {"error": {"code": self.code, "message": self.message, "errors": [one]}}


def invalid(message: str, details: list[Json] | None = None) -> ApiError:
    """A request that cannot be carried out."""
    return ApiError(400, "INVALID_ARGUMENT", message, details)


def violation(field: str, message: str) -> ApiError:
    """JSON that does not fit the schema."""
    return invalid(message, [{"@type": _BAD_REQUEST, "fieldViolations": [{"field": field, "description": message}]}])


def unknown_name(name: str, path: str) -> ApiError:
    """A field the schema does not know; ``path`` is empty at the top of the body."""
    at = f" at '{path}'" if path else ""
    return violation(path, f'Invalid JSON payload received. Unknown name "{name}"{at}: Cannot find field.')


def bad_mask(path: str) -> ApiError:
    """A ``fields`` parameter that names nothing; only the details tell what is wrong with it."""
    text = f"Error expanding 'fields' parameter. Cannot find matching fields for path '{path}'."
    detail = {"@type": _BAD_REQUEST, "fieldViolations": [{"field": path, "description": text}]}
    return invalid("Request contains an invalid argument.", [detail])


def not_found() -> ApiError:
    """An unknown spreadsheet or an unknown path."""
    return ApiError(404, "NOT_FOUND", "Requested entity was not found.")


def forbidden() -> ApiError:
    """A spreadsheet the caller may not see or may not write."""
    return ApiError(403, "PERMISSION_DENIED", "The caller does not have permission")


def scope_insufficient() -> ApiError:
    """A token whose scopes do not cover the method."""
    detail = {
        "@type": _ERROR_INFO,
        "reason": "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
        "domain": "googleapis.com",
        "metadata": {"service": "sheets.googleapis.com"},
    }
    return ApiError(403, "PERMISSION_DENIED", "Request had insufficient authentication scopes.", [detail])


def unauthenticated(missing: bool) -> ApiError:
    """No token at all, or one that is not or no longer good."""
    begin = (
        "Request is missing required authentication credential."
        if missing
        else "Request had invalid authentication credentials."
    )
    return ApiError(
        401,
        "UNAUTHENTICATED",
        f"{begin} Expected OAuth 2 access token, login cookie or other valid authentication credential. "
        "See https://developers.google.com/identity/sign-in/web/devconsole-project.",
    )


def quota(kind: str, project: str = "123456789012") -> ApiError:
    """Too many calls in this minute; ``kind`` is Read or Write."""
    low = kind.lower()
    detail = {
        "@type": _ERROR_INFO,
        "reason": "RATE_LIMIT_EXCEEDED",
        "domain": "googleapis.com",
        "metadata": {
            "consumer": f"projects/{project}",
            "service": "sheets.googleapis.com",
            "quota_metric": f"sheets.googleapis.com/{low}_requests",
            "quota_limit": f"{kind}RequestsPerMinutePerUser",
        },
    }
    message = (
        f"Quota exceeded for quota metric '{kind} requests' and limit '{kind} requests per minute per user' "
        f"of service 'sheets.googleapis.com' for consumer 'project_number:{project}'."
    )
    return ApiError(429, "RESOURCE_EXHAUSTED", message, [detail])


def office_file() -> ApiError:
    """The id is of an uploaded Office file."""
    return ApiError(
        400,
        "FAILED_PRECONDITION",
        "This operation is not supported for this document. The document must not be an Office file.",
    )


def server_side(code: int) -> ApiError:
    """Trouble on the API's side."""
    return {
        409: ApiError(409, "ABORTED", "The operation was aborted."),
        500: ApiError(500, "INTERNAL", "Internal error encountered."),
        503: ApiError(503, "UNAVAILABLE", "The service is currently unavailable."),
    }[code]


PROTECTED = (
    "You are trying to edit a protected cell or object. "
    "Please contact the spreadsheet owner to remove protection if you need to edit."
)
"""Said with status 400, not 403."""
