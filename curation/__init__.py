"""People deciding about pictures: which ones they bring, what a folder stands for."""
