"""The public datasets behind the course's data, turned into the course's layout.

    importers.py      what turns each dataset into its part of hw1_data
    place.py          a folder that is there whole or not at all; DATA.json in it says what it is
    files.py          images and tables, read and written
    cifar.py          CIFAR-10 and CIFAR-100 -> p1_data
    mini_imagenet.py  mini-ImageNet -> p2_data/mini
    office_home.py    Office-Home -> p2_data/office
    deepglobe.py      DeepGlobe land cover -> p3_data
    pickles.py        reading the pickles that two of them come in, without running what is in them

Nothing is downloaded here: the datasets have terms of their own, to be accepted where they are had.
Which images the course drew is not known, so these are the same kind of data and not the same
images; scores on the two do not compare to the digit.
"""
