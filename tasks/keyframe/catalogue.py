"""The painters. A further one is a module of tasks/keyframe/painters/ and its name in both lines below."""

from tasks.keyframe.painters import flux, flux2_klein, qwen_image, qwen_image_edit, sd15, sdxl, sprite, z_image

RECIPES = {
    one.RECIPE.name: one.RECIPE for one in (flux, flux2_klein, qwen_image, qwen_image_edit, sd15, sdxl, sprite, z_image)
}
