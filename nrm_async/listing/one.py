"""One number out of a listing."""

from nrm_async.errors import ResponseError
from nrm_async.inventory import is_number
from nrm_async.listing.course import Course
from nrm_async.listing.stream import FetchPage
from nrm_async.models import Ani, MalformedRow


async def find(fetch_page: FetchPage, page_size: int, ani: str) -> Ani | None:
    """The row of one number, read page after page until it is there.

    Raises:
        ResponseError: A row that cannot be understood may be the one.
    """
    course = Course(page_size)
    unclear: list[MalformedRow] = []
    while course.goes_on:
        page = (await fetch_page(course.horizon))()
        course.observe(page)
        for row in page:
            if is_number(row, ani):
                return row
        unclear.extend(bad for bad in page.malformed if bad.phone is None or is_number(bad, ani))
    if unclear:
        raise ResponseError(f"the row of {ani} cannot be read: {unclear[0]}")
    return None
