"""The books: what was asked, what was applied, and what to say when a test expected otherwise.

::

    applied    applied actions, in columns
    requests   requests and how they ended, in columns
    books      both, to be asked from any thread
    asserting  assertions that say what happened instead
"""

from nrm_async.sandbox.books.applied import AppliedAction
from nrm_async.sandbox.books.asserting import Assertions
from nrm_async.sandbox.books.books import Books
from nrm_async.sandbox.books.requests import Ending, RequestEntry, Seen

__all__ = ["AppliedAction", "Assertions", "Books", "Ending", "RequestEntry", "Seen"]
