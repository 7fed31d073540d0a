"""Trains an image classifier, and saves its progress so that another machine can go on."""

import argparse
import os
import pathlib
import time

import torch
from torchvision import datasets, models, transforms

EPOCHS = 90
SECONDS_BETWEEN_SAVES = 20 * 60

parser = argparse.ArgumentParser()
parser.add_argument("--images", required=True)
parser.add_argument("--progress", required=True)
parser.add_argument("--model", required=True)
arguments = parser.parse_args()
saved = pathlib.Path(arguments.progress) / "progress.pt"

as_tensor = transforms.Compose([transforms.RandomResizedCrop(224), transforms.ToTensor()])
images = datasets.ImageFolder(arguments.images, as_tensor)
model = models.resnet50(num_classes=len(images.classes)).cuda()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
first_epoch = 0


def save(epoch):
    # A name that ends in .tmp is taken as unfinished: no half a file is ever handed on.
    unfinished = saved.with_name("progress.tmp")
    progress = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": epoch}
    torch.save(progress, unfinished)
    os.replace(unfinished, saved)


if saved.exists():
    progress = torch.load(saved)
    model.load_state_dict(progress["model"])
    optimizer.load_state_dict(progress["optimizer"])
    first_epoch = progress["epoch"]
    print(f"goes on from epoch {first_epoch}")

last_save = time.monotonic()
for epoch in range(first_epoch, EPOCHS):
    loader = torch.utils.data.DataLoader(images, batch_size=256, shuffle=True, num_workers=8)
    for pictures, classes in loader:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(pictures.cuda()), classes.cuda())
        loss.backward()
        optimizer.step()
        if time.monotonic() - last_save > SECONDS_BETWEEN_SAVES:
            save(epoch)
            last_save = time.monotonic()
    print(f"epoch {epoch}: loss {loss.item():.3f}")

torch.save(model.state_dict(), arguments.model)
