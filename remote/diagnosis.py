"""What a failure of Azure Blob Storage means, in words that say what to do.

Source: learn.microsoft.com/rest/api/storageservices/common-rest-api-error-codes and .../blob-service-error-codes; what
Azurite answers differs where noted.
"""

from collections.abc import Iterator

_NO_CREDENTIAL = (
    "no credential came with the request. Give one that is never committed: AZURE_STORAGE_CONNECTION_STRING or "
    "AZURE_STORAGE_SAS_TOKEN in the environment, `dvc remote modify --local NAME connection_string ...`, or an identity"
)
_NOT_BELIEVED = (
    "the credential is not believed: a wrong key, a SAS that has ended, was made for something else or was damaged in "
    "copying; or this machine's clock is wrong"
)
_NO_RIGHT = (
    "the credential is good, but has no right to do this. A pull lists and reads, a push also creates and writes, "
    "`make gc` also deletes: a SAS with sp=racwdl, or the role Storage Blob Data Contributor on the container"
)
_NETWORK = "the account's firewall or the SAS keeps this machine's address, protocol or service out"
_BY_CODE = {
    "AuthenticationFailed": _NOT_BELIEVED,
    "InvalidAuthenticationInfo": _NOT_BELIEVED,
    "NoAuthenticationInformation": _NO_CREDENTIAL,
    "PublicAccessNotPermitted": _NO_CREDENTIAL,
    "AuthorizationPermissionMismatch": _NO_RIGHT,
    "AuthorizationResourceTypeMismatch": _NO_RIGHT,
    "InsufficientAccountPermissions": _NO_RIGHT,
    "AuthorizationFailure": _NETWORK,
    "AuthorizationProtocolMismatch": _NETWORK,
    "AuthorizationServiceMismatch": _NETWORK,
    "AuthorizationSourceIPMismatch": _NETWORK,
    "KeyBasedAuthenticationNotPermitted": "the account takes no keys: use an identity, or a SAS of a user's delegation",
    "AccountIsDisabled": "the account is disabled: is it paid for?",
    "ContainerNotFound": "the account has no such container: `az storage container create` makes it, or mend the URL",
    "ContainerBeingDeleted": "the container is being deleted: wait half a minute",
    "BlobNotFound": "the object is gone",
    "BlobImmutableDueToPolicy": "a policy keeps objects as they are: garbage is not collected while it lasts",
    # Azurite's answer to a name that it does not know; Azure's accounts have hosts of their own.
    "ResourceNotFound": "there is no such account: mend account_name or the connection string",
}


def diagnosis(error: BaseException) -> str | None:
    """Say what an error means.

    Args:
        error: as a remote's client raised it.

    Returns:
        None for what is not known; the error's own words must do then.
    """
    from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError
    from dvc_objects.fs.errors import AuthError

    for cause in causes(error):
        code = getattr(cause, "error_code", None)
        code = getattr(code, "value", code)
        if code == "AuthorizationFailure" and "failed to authenticate" in str(cause):
            return _NOT_BELIEVED  # Azurite's code for it
        if code in _BY_CODE:
            return _BY_CODE[code]
        if type(cause).__name__ == "AzureSigningError":
            return "the account key is no key (it is base64): was all of it copied?"
        if isinstance(cause, AuthError) and "requires either" in str(cause):
            return f"neither account_name nor connection_string is given: {_NO_CREDENTIAL}"
        if isinstance(cause, ClientAuthenticationError) and getattr(cause, "response", None) is None:
            return f"this machine has no identity that Azure knows, and {_NO_CREDENTIAL}"
        if isinstance(cause, ServiceRequestError):
            return "the account's host cannot be reached: is account_name right, and is there a network?"
    return None


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it came from, outermost first."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
