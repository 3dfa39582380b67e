"""IGBP classes of the 170 PLUMBER2 towers."""

from __future__ import annotations

CLASSES = {
    "CRO": (
        "BE-Lon DE-Geb DE-Kli DE-Seh DK-Fou DK-Ris ES-ES2 FR-Gri IE-Ca1 IT-BCi IT-CA2 US-ARM "
        "US-Bo1 US-Ne1 US-Ne2 US-Ne3 US-Twt"
    ),
    "CSH": "IT-Noe US-KS2",
    "DBF": (
        "DE-Hai DK-Sor FR-Fon FR-Hes IT-CA1 IT-CA3 IT-Col IT-Isp IT-LMa IT-Non IT-PT1 IT-Ro1 "
        "IT-Ro2 UK-Ham US-Ha1 US-MMS US-MOz US-UMB US-WCr ZM-Mon"
    ),
    "EBF": (
        "AU-Cow AU-Ctr AU-Cum AU-Rob AU-Tum AU-Whr AU-Wrr BR-Sa3 CN-Din FR-Pue GF-Guy ID-Pag "
        "IT-Cpz PT-Esp PT-Mi1 US-SP3"
    ),
    "ENF": (
        "AU-ASM CA-NS1 CA-NS2 CA-NS4 CA-NS5 CA-Qcu CA-Qfo CA-SF1 CA-SF2 CH-Dav CN-Qia DE-Bay "
        "DE-Obe DE-Tha DE-Wet ES-ES1 FI-Hyy FI-Sod FR-LBr IT-Lav IT-Ren IT-SR2 IT-SRo NL-Loo "
        "RU-Fyo UK-Gri US-Blo US-GLE US-Ho1 US-Me2 US-Me4 US-Me6 US-NR1 US-Prr US-SP1 US-SP2"
    ),
    "GRA": (
        "AT-Neu AU-DaP AU-Emr AU-Otw AU-Rig AU-Sam AU-Stp AU-Ync CH-Cha CH-Fru CH-Oe1 CN-Cng "
        "CN-Dan CN-Du2 CN-HaM DE-Gri DK-Lva DK-ZaH ES-VDA FR-Lq1 FR-Lq2 HU-Bug IE-Dri IT-Amp "
        "IT-MBo IT-Mal NL-Ca1 NL-Hor PT-Mi2 SE-Deg US-AR1 US-AR2 US-Aud US-Bkg US-Cop US-FPe "
        "US-Goo US-SRG US-Var US-Wkg"
    ),
    "MF": "AR-SLu BE-Bra BE-Vie CN-Cha DE-Meh JP-SMF UK-PL3 US-Bar US-PFa US-Syv",
    "OSH": "AU-TTE CA-NS6 CA-NS7 CA-SF3 ES-LgS US-Whs",
    "SAV": "AU-Cpr AU-DaS AU-Dry AU-GWW BW-Ma1 ES-LMa SD-Dem ZA-Kru",
    "WET": "CZ-wet DE-SfN FI-Kaa FI-Lom PL-wet RU-Che US-Los US-Myb US-Tw4",
    "WSA": "AU-Gin AU-How AU-Lit RU-Zot US-SRM US-Ton",
}
"""IGBP short name -> tower codes (Ukkola et al. 2022, doi:10.5194/essd-14-449-2022)."""


def codes_of(igbp: str) -> list[str]:
    """Towers of a class; none for an unknown one."""
    return CLASSES.get(igbp, "").split()
