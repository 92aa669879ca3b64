"""Write what people say of the sample's pictures: classes, decisions and confused pairs."""

from hashlib import md5

from sample.arrange import Pictures
from sample.planted import IDENTICAL, MISLABELLED, NEAR, SAME_DESK, TWO_DESKS

CLASSES = """\
# Which sub-classes (folders of data/library) merge into which class, and which do not hold real photographs of users.
# A folder that is not named here is a real class of its own, so an empty file will do.

merge: # class: the sub-classes that it is made of; a class may have the name of one of them
  seven: [seven, seven_crossed] # two ways to write it
  zero: [zero, zero_staged, zero_synthetic] # there are few real ones, so staged and synthetic ones are added

origin: # sub-classes that are not real
  staged: [zero_staged] # volunteers who imitate users
  synthetic: [zero_synthetic] # rendered
  unknown: [unknown_digit] # good pictures, but nobody is sure what they show: never trained on
"""
CONFUSED = """\
truth,predicted,weight
three,eight,0.5
eight,three,0.5
"""
# Parts of one photograph, and what is drawn alike: pairs that `dedup` finds, and that a person knows to be two.
_TWO_PICTURES = (
    ("library/flower/flower-007.jpg", "library/flower/flower-020.jpg"),
    ("library/flower/flower-018.jpg", "library/flower/flower-036.jpg"),
    ("library/flower/flower-021.jpg", "library/flower/flower-031.jpg"),
    ("library/flower/flower-023.jpg", "library/flower/flower-033.jpg"),
    ("library/flower/flower-024.png", "library/flower/flower-026.jpg"),
    ("benchmarks/out_of_scope/lake-004.png", "benchmarks/out_of_scope/more/lake-008.jpg"),
    ("benchmarks/out_of_scope/lake-016.jpg", "benchmarks/out_of_scope/more/lake-003.jpg"),
    ("benchmarks/out_of_scope/more/lake-006.jpg", "benchmarks/out_of_scope/more/lake-017.jpg"),
    ("benchmarks/out_of_scope/more/lake-012.jpg", "benchmarks/out_of_scope/more/lake-014.png"),
    ("library/two/two-005.jpg", "library/two/two-045.jpg"),
    ("library/zero_synthetic/zero-009.png", "library/zero_synthetic/zero-011.jpg"),
)
_HEADER = "image_id,decision,value,on,why\n"
# Of a picture that was taken out of the library since.
_GONE = md5(b"gone", usedforsecurity=False).hexdigest()


def write_instructions(pictures: Pictures) -> dict[str, str]:
    """Write the instructions.

    Args:
        pictures: what `plant` returned.

    Returns:
        Path relative to data/ to the file's text.
    """
    image_ids = {path: md5(data, usedforsecurity=False).hexdigest() for path, data in pictures.items()}
    return {
        "classes.yaml": CLASSES,
        "confused.csv": CONFUSED,
        "decisions/ana.csv": _HEADER + _ana(image_ids),
        "decisions/ben.csv": _HEADER + _ben(image_ids),
    }


def _ana(image_ids: dict[str, str]) -> str:
    mislabelled = image_ids[MISLABELLED[0].target]
    brighter = image_ids[NEAR[0].target]
    first, second = (image_ids[path] for path in SAME_DESK)
    one, other = (image_ids[path] for path in TWO_DESKS)
    mistaken = image_ids["library/two/two-070.jpg"]
    return "".join(
        (
            f"{mislabelled},relabel,one,2026-11-02T09:15:00.000Z,a one in the folder of sevens\n",
            f"{brighter},keep,,2026-11-02T09:16:20.250Z,the better of the two\n",
            f"{first},distinct,{second},2026-11-02T09:18:05.000Z,one desk but two hands\n",
            f"{one},duplicate,{other},2026-11-02T09:19:41.500Z,one note on two desks\n",
            f"{mistaken},remove,,2026-11-02T09:21:00.000Z,illegible\n",
            f"{mistaken},undo,,2026-11-02T09:21:09.750Z,I meant the one after it\n",
            f"{image_ids['library/two/two-071.jpg']},remove,,2026-11-02T09:21:30.000Z,illegible\n",
            f"{image_ids['library/nine/nine-140.jpg']},remove,,2026-11-03T14:02:00.000Z,could be a five\n",
            f"{_GONE},keep,,2026-11-03T14:05:12.000Z,a good four\n",
        )
    )


def _ben(image_ids: dict[str, str]) -> str:
    conflict = image_ids[IDENTICAL[3].target]
    return "".join(
        (
            f"{conflict},relabel,four,2026-11-04T08:30:00.000Z,it stands in four and in nine\n",
            f"{image_ids['library/nine/nine-140.jpg']},keep,,2026-11-04T08:34:10.125Z,it is a nine\n",
            *(
                f"{image_ids[first]},distinct,{image_ids[second]},2026-11-04T08:40:{number:02d}.000Z,two pictures\n"
                for number, (first, second) in enumerate(_TWO_PICTURES)
            ),
        )
    )
