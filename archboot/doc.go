package archboot
