"""The named width spaces."""

from spaces.width.space import WidthSpace

PRESETS = (
    WidthSpace("vgg-small", "vgg-small"),
    WidthSpace("resnet-18", "resnet-18", image_size=224, classes=1000),
    WidthSpace("resnet-20", "resnet-20"),
    WidthSpace("vgg-digits", "vgg-digits", image_size=8, channels=1),
)
