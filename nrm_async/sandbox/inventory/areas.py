"""US area codes with the places they belong to (North American Numbering Plan)."""

from typing import Final

from attrs import frozen


@frozen
class Area:
    """An area code, and where it is; a toll-free code is nowhere."""

    code: str
    region: str | None
    state: str | None
    locality: str | None


_PLACES: Final = """
Northeast NY 212:New_York 718:Brooklyn 716:Buffalo 585:Rochester 518:Albany
Northeast NJ 201:Jersey_City 973:Newark
Northeast PA 215:Philadelphia 412:Pittsburgh 814:Erie
Northeast MA 617:Boston 413:Springfield 508:Worcester
Northeast CT 203:New_Haven 860:Hartford
Midwest IL 312:Chicago 217:Springfield 815:Rockford
Midwest OH 216:Cleveland 614:Columbus 513:Cincinnati 419:Toledo 234:Akron
Midwest MI 313:Detroit 616:Grand_Rapids 517:Lansing
Midwest WI 414:Milwaukee 608:Madison
Midwest MN 612:Minneapolis 651:Saint_Paul
Midwest MO 314:Saint_Louis 816:Kansas_City
Midwest IN 317:Indianapolis 260:Fort_Wayne
South TX 214:Dallas 713:Houston 210:San_Antonio 512:Austin 915:El_Paso 817:Fort_Worth
South FL 305:Miami 813:Tampa 407:Orlando 904:Jacksonville 850:Tallahassee
South GA 404:Atlanta 912:Savannah 706:Augusta
South NC 704:Charlotte 919:Raleigh 336:Greensboro
South TN 615:Nashville 901:Memphis 865:Knoxville
South VA 804:Richmond 757:Norfolk
South LA 504:New_Orleans 225:Baton_Rouge
West CA 213:Los_Angeles 415:San_Francisco 619:San_Diego 916:Sacramento 559:Fresno
West WA 206:Seattle 509:Spokane 253:Tacoma
West CO 303:Denver 719:Colorado_Springs
West AZ 602:Phoenix 520:Tucson
West OR 503:Portland 541:Eugene
West NV 702:Las_Vegas 775:Reno
"""


def _areas(line: str) -> list[Area]:
    region, state, *places = line.split()
    pairs = (place.split(":") for place in places)
    return [Area(code, region, state, city.replace("_", " ")) for code, city in pairs]


AREAS: Final[tuple[Area, ...]] = (
    *(area for line in _PLACES.strip().splitlines() for area in _areas(line)),
    Area("888", None, None, None),
    Area("877", None, None, None),
)
"""The area codes an inventory is drawn from, toll-free ones last."""
